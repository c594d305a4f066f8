import { Switch, Table, useComputedColorScheme } from '@mantine/core';
import { useElementSize } from '@mantine/hooks';
import { useEffect, useMemo, useRef, useState } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { zone } from '@/app/preferences';
import { moment, shortDay, zoneId } from '@/lib/time';
import { t } from '@/text/shell';
import classes from './TimeChart.module.css';

export interface Series {
  id: string;
  label: string;
  /** One for each time; null where there is none. */
  values: (number | null)[];
  /** A CSS colour; may be a variable. */
  color: string;
  dash?: number[];
}

export interface TimeChartProps {
  /** One sentence that says what is to be seen. */
  summary: string;
  /** Milliseconds since 1970, ascending. */
  times: number[];
  series: Series[];
  kind: 'bars' | 'area' | 'lines';
  /** How a value is told, on the axis and under the pointer. */
  format: (value: number) => string;
  height?: number;
  /** Called with a range that was drawn with the pointer. */
  onZoom?: (from: number, to: number) => void;
  /** Whether series are put on top of each other. */
  stacked?: boolean;
  /** Greatest value of the axis, at least. */
  atLeast?: number;
}

/** Values over time. The arrow keys walk through times, and the same numbers are there as a table. */
export function TimeChart(props: TimeChartProps) {
  const { times, series, kind, format, height = 220, stacked, onZoom } = props;
  const holder = useRef<HTMLDivElement>(null);
  const { ref: box, width } = useElementSize();
  const z = zone.use();
  const colorScheme = useComputedColorScheme();
  const [at, setAt] = useState<number | null>(null);
  const [asTable, setAsTable] = useState(false);
  const latest = useRef({ format, onZoom });
  latest.current = { format, onZoom };
  const plot = useRef<uPlot>(undefined);

  const data = useMemo(() => {
    const sums = new Array<number>(times.length).fill(0);
    const columns = series.map((s) => (stacked ? s.values.map((v, i) => (sums[i]! += v ?? 0)) : s.values));
    // What is drawn last is on top: the sums from the highest to the lowest.
    return { x: times.map((m) => m / 1000), y: stacked ? columns.toReversed() : columns };
  }, [times, series, stacked]);
  const drawn = useMemo(() => (stacked ? series.toReversed() : series), [series, stacked]);
  // Between the bars of two days there is no hour to be told.
  const daily = times.length > 1 && times[1]! - times[0]! > 80_000_000;
  const shape = drawn.map((s) => s.id + s.color).join() + kind + colorScheme + z + height + (props.atLeast ?? '') + daily;

  useEffect(() => {
    if (!holder.current || width < 10 || asTable) return;
    const style = getComputedStyle(holder.current);
    const css = (c: string) => (c.startsWith('var(') ? style.getPropertyValue(c.slice(4, -1)).trim() : c);
    const text = css('var(--mantine-color-dimmed)');
    const line = css('var(--t-line)');
    const bars = uPlot.paths.bars!({ size: [0.8, 48], radius: 0.08 });
    const u = new uPlot(
      {
        width,
        height,
        tzDate: (ts) => (z === 'utc' ? uPlot.tzDate(new Date(ts * 1000), 'UTC') : new Date(ts * 1000)),
        legend: { show: false },
        padding: [8, 8, 0, 0],
        cursor: { y: false, points: { size: 6 }, drag: { x: !!onZoom, y: false, setScale: false } },
        scales: { x: { time: true, range: kind === 'bars' ? barRange : undefined! }, y: { range: (_u, lo, hi) => [Math.min(lo * 1.08, 0), Math.max(hi * 1.08, props.atLeast ?? 0) || 1] } },
        axes: [
          { stroke: text, grid: { show: false }, ticks: { stroke: line, size: 4 }, font: '11px system-ui', gap: 4, size: 28, values: axisTimes(z), ...(daily ? { incrs: wholeDays } : {}) },
          { stroke: text, grid: { stroke: line, width: 1 }, ticks: { show: false }, font: '11px system-ui', size: 58, values: (_u, vs) => vs.map((v) => latest.current.format(v)) },
        ],
        series: [
          {},
          ...drawn.map((s) => {
            const color = css(s.color);
            return {
              label: s.label,
              stroke: color,
              width: kind === 'bars' ? 0 : 1.5,
              fill: kind === 'lines' ? undefined! : kind === 'bars' || stacked ? color : `${color}33`,
              paths: kind === 'bars' ? bars : undefined!,
              // A line needs two points; one that stands alone is drawn as a dot.
              points: kind === 'lines' ? { show: true, size: 5, fill: color, filter: alone } : { show: false },
              dash: s.dash!,
            };
          }),
        ],
        hooks: {
          setCursor: [(p) => setAt(p.cursor.idx ?? null)],
          setSelect: [
            (p) => {
              if (p.select.width < 4) return;
              const from = p.posToVal(p.select.left, 'x') * 1000;
              const to = p.posToVal(p.select.left + p.select.width, 'x') * 1000;
              p.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
              latest.current.onZoom?.(from, to);
            },
          ],
        },
      },
      [data.x, ...data.y] as uPlot.AlignedData,
      holder.current,
    );
    plot.current = u;
    return () => {
      plot.current = undefined;
      u.destroy();
    };
    // What only moves its lines is given to the plot below; all else makes a new one.
    // oxlint-disable-next-line react-hooks/exhaustive-deps
  }, [shape, width, asTable]);
  useEffect(() => {
    plot.current?.setData([data.x, ...data.y] as uPlot.AlignedData);
  }, [data]);

  const step = (by: number) => {
    const next = Math.min(Math.max((at ?? (by > 0 ? -1 : times.length)) + by, 0), times.length - 1);
    setAt(next);
    const u = plot.current;
    if (u) u.setCursor({ left: u.valToPos(times[next]! / 1000, 'x'), top: 10 }, false);
  };
  const told = at !== null && times[at] !== undefined ? at : null;
  return (
    <figure className={classes.figure} ref={box}>
      <figcaption className="visually-hidden">{props.summary}</figcaption>
      {asTable ? (
        <ValueTable {...props} />
      ) : (
        <div
          ref={holder}
          className={classes.plot}
          style={{ height }}
          tabIndex={0}
          role="img"
          aria-label={props.summary}
          onKeyDown={(e) => {
            if (e.key !== 'ArrowLeft' && e.key !== 'ArrowRight') return;
            e.preventDefault();
            step(e.key === 'ArrowLeft' ? -1 : 1);
          }}
          onBlur={() => setAt(null)}
        />
      )}
      <div className={classes.foot}>
        <div className={classes.told} aria-live="polite">
          {told !== null ? (
            <>
              <b>{moment(times[told]!, z)}</b>
              {series
                .filter((s) => s.values[told])
                .slice(0, 8)
                .map((s) => (
                  <span key={s.id} className={classes.item}>
                    <i style={{ background: s.color }} /> {s.label} <b>{format(s.values[told]!)}</b>
                  </span>
                ))}
            </>
          ) : (
            series.length > 1 &&
            series.slice(0, 9).map((s) => (
              <span key={s.id} className={classes.item}>
                <i style={{ background: s.color }} /> {s.label}
              </span>
            ))
          )}
        </div>
        <Switch size="xs" label={t('viewAsTable')} checked={asTable} onChange={(e) => setAsTable(e.currentTarget.checked)} className={classes.switch} />
      </div>
    </figure>
  );
}

function alone(u: uPlot, series: number): number[] {
  const values = u.data[series]!;
  const there = (i: number) => values[i] !== null && values[i] !== undefined;
  return Array.from(values.keys()).filter((i) => there(i) && !there(i - 1) && !there(i + 1));
}

const wholeDays = [1, 2, 3, 4, 7, 14, 28, 60, 120, 365].map((n) => n * 86_400);

// Half a bar more at both ends.
function barRange(u: uPlot, lo: number, hi: number): uPlot.Range.MinMax {
  const x = u.data[0];
  const step = x.length > 1 ? x[1]! - x[0]! : 3600;
  return [lo - step / 2, hi + step / 2];
}

function axisTimes(z: 'utc' | 'local') {
  const hour = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', timeZone: zoneId(z) });
  return (_u: uPlot, values: number[]) => {
    const days = values.length > 1 && values[1]! - values[0]! >= 86_400;
    return values.map((v) => {
      const time = hour.format(v * 1000);
      return days || time === '00:00' ? shortDay(v * 1000, z) : time;
    });
  };
}

function ValueTable({ times, series, format }: TimeChartProps) {
  const z = zone.use();
  return (
    <div className={classes.table} tabIndex={0} role="region" aria-label={t('values')}>
      <Table stickyHeader>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{t('time')}</Table.Th>
            {series.map((s) => (
              <Table.Th key={s.id} className="num">
                {s.label}
              </Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {times.map((m, i) => (
            <Table.Tr key={m}>
              <Table.Td>{moment(m, z)}</Table.Td>
              {series.map((s) => (
                <Table.Td key={s.id} className="num">
                  {s.values[i] === null || s.values[i] === undefined ? '–' : format(s.values[i]!)}
                </Table.Td>
              ))}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </div>
  );
}
