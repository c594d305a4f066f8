// Usage in words: how much, how much more than before, and who made most of it.

import type { UsageRow } from '@/gen/tollgate/control/v1/usage_pb';
import { exact, nanos, short } from '@/lib/money';
import { count, percent } from '@/lib/text';
import { type Group, groupId, groupName, type Metric } from '@/lib/usage';
import { t } from '@/text/usage';

/** An exact figure of a row: nano-dollars, or a count. */
export function amountOf(row: UsageRow | undefined, metric: Metric): bigint {
  switch (metric) {
    case 'spend':
      return nanos(row?.cost);
    case 'requests':
      return row?.requests ?? 0n;
    case 'errors':
      return row?.errors ?? 0n;
    case 'units':
      return row?.units ?? 0n;
  }
}

/** The same of the time before; undefined where it is not told. */
export function amountBefore(row: UsageRow | undefined, metric: Metric): bigint | undefined {
  if (!row?.previousCost) return undefined;
  switch (metric) {
    case 'spend':
      return nanos(row.previousCost);
    case 'requests':
      return row.previousRequests;
    case 'errors':
      return row.previousErrors;
    case 'units':
      return undefined;
  }
}

export const tell = (n: bigint, metric: Metric) => (metric === 'spend' ? short(n) : count(n));
export const tellExact = (n: bigint, metric: Metric) => (metric === 'spend' ? exact(n) : count(n));

/** The name of a group as it is shown. */
export function nameOf(row: UsageRow, by: Group): string {
  if (by === 'none') return t('none_none');
  if (row.other) return t('other');
  if (by === 'status' && groupId(row, by) === '0xx') return t('unanswered');
  return groupName(row, by) || t(`none_${by}`);
}

/** By how much it is more or less, as a share of what was: 0.18 is 18 % more. */
export function change(now: bigint, before: bigint): number | undefined {
  if (before <= 0n) return undefined;
  return Number(((now - before) * 1_000_000n) / before) / 1e6;
}

/** "+18 %", "−4 %", "×12" for what grew manifold. */
export function changeText(share: number): string {
  if (share >= 9) return `×${count(Math.round(share + 1))}`;
  return `${share > 0 ? '+' : share < 0 ? '−' : '±'}${rounded(Math.abs(share))}`;
}

const rounded = (share: number) => percent(share >= 0.1 ? Math.round(share * 100) / 100 : Math.round(share * 1000) / 1000);

/** "7 days" or "24 hours". */
export function lengthText(ms: number): string {
  const hours = Math.max(1, Math.round(ms / 3_600_000));
  return hours > 48 || (hours > 24 && hours % 24 === 0) ? t('days', { n: Math.round(hours / 24) }) : t('hours', { n: hours });
}

/** The sentence above the chart. `groups` come largest first, as the server orders them by cost. */
export function headline(total: UsageRow | undefined, groups: UsageRow[], by: Group, metric: Metric, length: number): string {
  const all = amountOf(total, metric);
  const time = lengthText(length);
  const what =
    metric === 'spend' ? t('amountIn', { amount: short(all), time }) : t(metric === 'requests' ? 'requestsIn' : metric === 'errors' ? 'errorsIn' : 'unitsIn', { n: Number(all), time });
  const before = amountBefore(total, metric);
  const share = before === undefined ? undefined : change(all, before);
  const said =
    before === undefined
      ? undefined
      : share === undefined
        ? all > 0n
          ? t('noneBefore', { time })
          : undefined
        : Math.abs(share) < 0.005
          ? t('same', { time })
          : t(share > 0 ? 'more' : 'less', { share: rounded(Math.abs(share)), time });
  const first = said ? t('sentence', { what, change: said }) : t('sentenceAlone', { what });
  if (by === 'none' || all <= 0n) return first;
  const top = groups.filter((g) => !g.other).toSorted((a, b) => (amountOf(a, metric) < amountOf(b, metric) ? 1 : -1))[0];
  const most = amountOf(top, metric);
  if (!top || most <= 0n) return first;
  return `${first} ${t('top_spend', { name: nameOf(top, by), share: percent(Math.round(Number((most * 10_000n) / all) / 100) / 100) })}`;
}
