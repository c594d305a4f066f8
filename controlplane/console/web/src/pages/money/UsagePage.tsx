import { Button, Checkbox, Group as Row, SegmentedControl, Select } from '@mantine/core';
import { useQuery } from '@connectrpc/connect-query';
import { keepPreviousData } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useMemo } from 'react';
import { useHour, useNow } from '@/app/clock';
import { useKeys } from '@/app/keys';
import { zone } from '@/app/preferences';
import { Page } from '@/components/Page';
import { RangePicker } from '@/components/RangePicker';
import { Region } from '@/components/Region';
import { TimeChart } from '@/components/TimeChart';
import { AsOf } from '@/components/When';
import { type QueryUsageResponse, UsageService } from '@/gen/tollgate/control/v1/usage_pb';
import { brief } from '@/lib/money';
import { type Range, resolve, shift } from '@/lib/range';
import { shortCount } from '@/lib/text';
import { clock, millis, took, zoneId } from '@/lib/time';
import { dayIn, type Group, type Metric, seriesOf } from '@/lib/usage';
import { t } from '@/text/usage';
import { quote } from '../endpoints/list/facts';
import { autoBucket, type Bucket, buckets, cliOf, countOf, fields, type Filters, fold, groups, kinds, metrics, toRequest, type View } from './usage/ask';
import { ExportMenu } from './usage/ExportMenu';
import { FilterChips } from './usage/FilterChips';
import { GroupTable, idOf, type Shown } from './usage/GroupTable';
import { LastUse } from './usage/LastUse';
import classes from './usage/Usage.module.css';
import { headline, lengthText, nameOf } from './usage/words';

const route = getRouteApi('/usage');
const usual: Range = { from: '-7d', to: 'now' };
const refreshEvery = 30_000;
// As many colours as there are groups in a chart; the seventh of the theme is for what is left.
const colors = [1, 2, 3, 4, 5, 6, 8, 9].map((n) => `var(--t-${n})`);
const otherColor = 'var(--t-7)';

const pick = <const T extends string>(values: readonly T[], value: string | undefined, fallback: T) => values.find((v) => v === value) ?? fallback;
const iso = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`;

/** What was spent, on what, and how that changes. */
export function UsagePage() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const z = zone.use();
  const hour = useHour();
  const timeZone = zoneId(z);
  const range: Range = { from: search.from ?? usual.from, to: search.to ?? usual.to };
  // A range to now moves on with the hours in which usage is kept.
  const { from, to } = useMemo(() => resolve(range, Math.max(hour, Math.floor(Date.now() / 60_000) * 60_000), usual), [range.from, range.to, hour]); // oxlint-disable-line react-hooks/exhaustive-deps
  const by: Group = pick(groups, search.group, 'endpoint');
  const metric: Metric = pick(metrics, search.metric, 'spend');
  const bucket: Bucket = pick(buckets, search.bucket, autoBucket(from, to));
  const kind = pick(kinds, search.chart, 'bars');
  const compare = search.compare !== '0';
  const only = search.only ?? [];
  const all = search.all === true;
  const filters = useMemo<Filters>(() => Object.fromEntries(fields.map((f) => [f, search[f]]).filter(([, v]) => v !== undefined)), [search]);
  const view: View = { range, from, to, group: by, filters, timeZone };

  const set = (more: Partial<typeof search>) => void navigate({ search: (s) => ({ ...s, ...more }), replace: true });
  const setRange = (r: Range) => set({ from: r.from === usual.from && r.to === usual.to ? undefined : r.from, to: r.to === usual.to ? undefined : r.to });
  useKeys({
    '[': () => setRange(shift({ from, to }, -1)),
    ']': () => setRange(shift({ from, to }, 1)),
    r: () => void query.refetch(),
  });

  const input = toRequest(view, bucket, { compare });
  const query = useQuery(UsageService.method.queryUsage, input, { refetchInterval: refreshEvery, placeholderData: keepPreviousData });
  const table = useQuery(UsageService.method.queryUsage, toRequest(view, undefined, { compare, all: true }), { enabled: all && by !== 'none', refetchInterval: refreshEvery, placeholderData: keepPreviousData });

  const length = to - from;
  const time = lengthText(length);
  return (
    <Page
      title={t('title')}
      wide
      copy={{ cli: cliOf(view, quote), call: { method: UsageService.method.queryUsage, input } }}
      actions={
        <>
          <RangePicker value={range} onChange={setRange} />
          <ExportMenu view={view} />
        </>
      }
    >
      <div className={classes.controls}>
        <SegmentedControl aria-label={t('metric')} value={metric} onChange={(v) => set({ metric: v === 'spend' ? undefined : v })} data={metrics.map((value) => ({ value, label: t(`metric_${value}`) }))} />
        <Select
          size="xs"
          w={130}
          aria-label={t('groupBy')}
          data={groups.map((value) => ({ value, label: t(`by_${value}`) }))}
          value={by}
          onChange={(v) => set({ group: v === 'endpoint' || !v ? undefined : v, only: undefined, all: undefined })}
        />
        <FilterChips filters={filters} change={(more) => set({ ...more, only: undefined })} />
        <div className={classes.push}>
          <Checkbox size="xs" label={t('compare')} checked={compare} onChange={(e) => set({ compare: e.currentTarget.checked ? undefined : '0' })} />
        </div>
      </div>
      <Region query={query} skeleton={12}>
        {(d) =>
          d.total === undefined || d.total.requests === 0n ? (
            <div className="card">
              <LastUse time={time} filtered={countOf(filters) > 0} onShow={(f) => setRange({ from: f, to: 'now' })} onClear={() => set(Object.fromEntries(fields.map((f) => [f, undefined])))} />
            </div>
          ) : (
            <Figures
              data={d}
              full={all && by !== 'none' ? table.data : undefined}
              view={view}
              metric={metric}
              bucket={bucket}
              kind={kind}
              compare={compare}
              only={only}
              all={all}
              chosenBucket={search.bucket}
              onSet={set}
              onZoom={(a, b) => setRange({ from: iso(a), to: iso(b) })}
            />
          )
        }
      </Region>
    </Page>
  );
}

interface FiguresProps {
  data: QueryUsageResponse;
  /** All groups, where they were asked for. */
  full: QueryUsageResponse | undefined;
  view: View;
  metric: Metric;
  bucket: Bucket;
  kind: (typeof kinds)[number];
  compare: boolean;
  only: string[];
  all: boolean;
  chosenBucket: string | undefined;
  onSet: (more: { bucket?: string | undefined; chart?: string | undefined; only?: string[] | undefined; all?: boolean | undefined }) => void;
  onZoom: (from: number, to: number) => void;
}

function Figures({ data, full, view, metric, bucket, kind, compare, only, all, chosenBucket, onSet, onZoom }: FiguresProps) {
  const { group: by, timeZone, from, to } = view;
  const drawn = useMemo(() => {
    const s = seriesOf(data, by, metric, { from, to }, bucket === 'hour' ? 'hour' : 'day', timeZone);
    const folded = fold(s.times, s.groups.map((g) => g.values), bucket, (ms) => dayIn(ms, timeZone));
    let next = 0;
    const shown = s.groups.map((g, i): Shown => ({ id: idOf(g.row, by), row: g.row, color: g.other ? otherColor : colors[next++ % colors.length], values: folded.values[i] }));
    return { times: folded.times, shown };
  }, [data, by, metric, from, to, bucket, timeZone]);
  const series = useMemo(() => {
    const wanted = drawn.shown.filter((g) => !only.length || only.includes(g.id));
    return (wanted.length ? wanted : drawn.shown).map((g) => ({ id: g.id, label: nameOf(g.row, by), values: g.values ?? [], color: g.color ?? otherColor }));
  }, [drawn, only, by]);
  const listed: Shown[] = full
    ? full.rows.map((row) => {
        const same = drawn.shown.find((g) => g.id === idOf(row, by) && !g.row.other);
        return { id: idOf(row, by), row, color: same?.color, values: same?.values };
      })
    : drawn.shown;
  const sentence = headline(data.total, data.groups, by, metric, to - from);
  return (
    <div className={classes.cards}>
      <section className="card" aria-label={t('title')}>
        <div className={classes.chart}>
          <div className={classes.chartHead}>
            <div className={classes.headline} role="status">{sentence}</div>
            <Row gap="xs">
              <Select
                size="xs"
                w={96}
                aria-label={t('bucket')}
                data={[{ value: 'auto', label: t('bucket_auto') }, ...buckets.map((value) => ({ value: value as string, label: t(`bucket_${value}`) }))]}
                value={buckets.find((b) => b === chosenBucket) ?? 'auto'}
                onChange={(v) => onSet({ bucket: v === 'auto' || !v ? undefined : v })}
              />
              <SegmentedControl aria-label={t('chart')} value={kind} onChange={(v) => onSet({ chart: v === 'bars' ? undefined : v })} data={kinds.map((value) => ({ value, label: t(`chart_${value}`) }))} />
            </Row>
          </div>
          <TimeChart
            summary={sentence}
            times={drawn.times}
            series={series}
            kind={kind}
            stacked={kind !== 'lines'}
            height={260}
            format={metric === 'spend' ? money : shortCount}
            onZoom={onZoom}
          />
        </div>
        <div className={classes.foot}>
          <Freshness data={data} />
          {view.range.to !== 'now' && view.range.from.includes('T') ? (
            <Button variant="subtle" size="compact-xs" onClick={() => onZoom(from - (to - from) / 2, Math.min(to + (to - from) / 2, Date.now()))}>
              {t('zoomOut')}
            </Button>
          ) : null}
        </div>
      </section>
      <section className="card">
        <GroupTable
          groups={listed}
          total={data.total}
          by={by}
          metric={metric}
          compare={compare}
          only={only}
          onOnly={(v) => onSet({ only: v.length ? v : undefined })}
          more={data.groups.some((g) => g.other)}
          all={all}
          onAll={(v) => onSet({ all: v || undefined })}
        />
      </section>
    </div>
  );
}

// What is drawn is a number; it is said again as the nearest amount.
const money = (v: number) => brief(BigInt(Math.round(v * 1e9)));

/** From when the figures are, and up to when nothing is missing. */
function Freshness({ data }: { data: QueryUsageResponse }) {
  const z = zone.use();
  const now = useNow();
  const complete = millis(data.completeTo);
  const behind = complete === undefined ? 0 : Math.max((millis(data.asOf) ?? now) - complete, 0);
  return (
    <span>
      <AsOf at={data.asOf} />
      {complete !== undefined ? (
        <>
          <span aria-hidden>·</span>
          <span className={behind > 60_000 ? 'warn' : undefined}>
            {t('completeTo', { time: clock(complete, z) })} {data.slowestEdge ? t('slowest', { edge: data.slowestEdge, behind: took(behind) }) : ''}
          </span>
        </>
      ) : null}
    </span>
  );
}
