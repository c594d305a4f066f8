import { useQuery } from '@connectrpc/connect-query';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { keepPreviousData } from '@tanstack/react-query';
import { Section } from '@/components/Page';
import { Region } from '@/components/Region';
import { type Series, TimeChart } from '@/components/TimeChart';
import { AsOf } from '@/components/When';
import type { Endpoint } from '@/gen/tollgate/control/v1/endpoint_pb';
import { LatencyBucket, UsageDimension, UsageService } from '@/gen/tollgate/control/v1/usage_pb';
import { brief, dollar, nanos, short } from '@/lib/money';
import { count, percent, shortCount } from '@/lib/text';
import { span, took } from '@/lib/time';
import { t } from '@/text/endpoints';
import classes from '../EndpointPage.module.css';
import { ask, bucketOf, byStatus, spent, type StatusClass, timesOf } from './series';

interface Props {
  endpoint: Endpoint;
  range: { from: number; to: number };
  timeZone: string;
  onZoom: (from: number, to: number) => void;
}

const colors: Record<StatusClass, string> = { '2xx': 'var(--t-1)', '3xx': 'var(--t-7)', '4xx': 'var(--t-5)', '5xx': 'var(--t-2)', '0xx': 'var(--t-4)' };
const refreshEvery = 30_000;
const longest = 31 * 86_400_000;
const height = 180;

/** Requests by status, how long they took, and what they cost. */
export function Charts({ endpoint, range, timeZone, onZoom }: Props) {
  const bucket = bucketOf(range);
  const query = useQuery(
    UsageService.method.queryUsage,
    ask(endpoint.id, range, timeZone, [bucket === 'hour' ? UsageDimension.HOUR : UsageDimension.DAY, UsageDimension.STATUS_CLASS]),
    { refetchInterval: refreshEvery, placeholderData: keepPreviousData },
  );
  const { times, place } = timesOf(range, bucket, timeZone);
  return (
    <div className={classes.charts}>
      <Section title={t('requestsByStatus')} actions={<AsOf at={query.data?.asOf} />}>
        <Region query={query}>
          {(d) => {
            const series: Series[] = byStatus(d.rows, times, place).map((s) => ({ id: s.id, label: t(`class_${s.id}`), values: s.values, color: colors[s.id] }));
            if (!series.length) return <div className={`dim ${classes.none}`}>{t('noRequests')}</div>;
            return (
              <TimeChart
                summary={t('requestsSummary', { n: count(d.total?.requests ?? 0n), errors: count(d.total?.errors ?? 0n) })}
                times={times}
                series={series}
                kind="bars"
                stacked
                height={height}
                format={(v) => shortCount(v)}
                onZoom={onZoom}
              />
            );
          }}
        </Region>
      </Section>
      <Latency endpoint={endpoint} range={range} timeZone={timeZone} onZoom={onZoom} times={times} />
      <Section title={t('spend')} actions={query.data ? <b className="num">{short(nanos(query.data.total?.cost))}</b> : null}>
        <Region query={query}>
          {(d) => {
            if (!d.total?.requests) return <div className={`dim ${classes.none}`}>{t('noRequests')}</div>;
            return (
              <TimeChart
                summary={t('spendSummary', { amount: short(nanos(d.total.cost)) })}
                times={times}
                series={[{ id: 'spend', label: t('spend'), values: spent(d.rows, times, place), color: 'var(--t-3)' }]}
                kind="bars"
                height={height}
                // What is drawn is a number; it is said again as an amount of the nearest nano-dollar.
                format={(v) => brief(BigInt(Math.round(v * Number(dollar))))}
                onZoom={onZoom}
              />
            );
          }}
        </Region>
      </Section>
    </div>
  );
}

function Latency({ endpoint, range, timeZone, onZoom, times }: Props & { times: number[] }) {
  const hourly = bucketOf(range) === 'hour';
  const from = Math.max(range.from, range.to - longest);
  const query = useQuery(
    UsageService.method.queryLatency,
    {
      fromTime: timestampFromMs(hourly ? Math.floor(from / 3_600_000) * 3_600_000 : from),
      toTime: timestampFromMs(range.to),
      bucket: hourly ? LatencyBucket.HOUR : LatencyBucket.DAY,
      timeZone,
      filters: [{ of: UsageDimension.ENDPOINT, values: [endpoint.id] }],
    },
    { refetchInterval: refreshEvery, placeholderData: keepPreviousData },
  );
  return (
    <Section title={t('latency')} actions={<AsOf at={query.data?.asOf} />}>
      <Region query={query}>
        {(d) => {
          if (!d.buckets.length) return <div className={`dim ${classes.none}`}>{t('noRequests')}</div>;
          const at = new Map(d.buckets.map((b) => [Number(b.start?.seconds ?? 0n) * 1000, b]));
          const nearest = (time: number) => at.get(time) ?? d.buckets.find((b) => Math.abs(Number(b.start?.seconds ?? 0n) * 1000 - time) < 3_600_000 && !hourly);
          const line = (id: 'p50' | 'p95' | 'p99', color: string, dash?: number[]): Series => ({
            id,
            label: t(id),
            color,
            values: times.map((time) => {
              const b = nearest(time);
              return b ? span(b[id]) : null;
            }),
            ...(dash ? { dash } : {}),
          });
          return (
            <>
              <TimeChart
                summary={t('latencySummary', { p50: took(span(d.total?.p50)), p99: took(span(d.total?.p99)) })}
                times={times}
                series={[line('p50', 'var(--t-1)'), line('p95', 'var(--t-5)'), line('p99', 'var(--t-2)', [4, 3])]}
                kind="lines"
                height={height}
                format={took}
                onZoom={onZoom}
              />
              <div className={classes.sub}>{d.sampled ? t('latencySampled', { percent: percent(d.sampledPercent / 100) }) : t('latencyTotal')}</div>
            </>
          );
        }}
      </Region>
    </Section>
  );
}
