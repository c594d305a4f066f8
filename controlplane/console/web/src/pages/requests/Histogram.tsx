import { memo, useMemo } from 'react';
import { zone } from '@/app/preferences';
import { TimeChart } from '@/components/TimeChart';
import { count } from '@/lib/text';
import { moment } from '@/lib/time';
import { t } from '@/text/requests';
import { bucketsOf } from './histogram';
import type { Item } from './tail';

/** How many requests ended when, and how. A range that is drawn on it is what is looked at next. */
export const Histogram = memo(function Histogram({ items, from, to, onZoom }: { items: Item[]; from: number; to: number; onZoom?: (from: number, to: number) => void }) {
  const z = zone.use();
  const b = useMemo(() => bucketsOf(items, from, to), [items, from, to]);
  const sum = (all: number[]) => all.reduce((a, n) => a + n, 0);
  const errors = sum(b.warn) + sum(b.bad);
  const n = sum(b.ok) + errors;
  return (
    <TimeChart
      kind="bars"
      stacked
      height={84}
      times={b.times}
      summary={t('histogram', { from: moment(from, z), to: moment(to, z), n, errors })}
      format={(v) => count(Math.round(v))}
      series={[
        { id: 'ok', label: t('ok2xx'), values: b.ok, color: 'var(--t-3)' },
        { id: 'warn', label: t('err4xx'), values: b.warn, color: 'var(--t-5)' },
        { id: 'bad', label: t('err5xx'), values: b.bad, color: 'var(--t-2)' },
      ]}
      {...(onZoom ? { onZoom } : {})}
    />
  );
});
