import { useQuery } from '@connectrpc/connect-query';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { keepPreviousData } from '@tanstack/react-query';
import { useMemo } from 'react';
import { useNow } from '@/app/clock';
import { Section } from '@/components/Page';
import { Region } from '@/components/Region';
import { TimeChart } from '@/components/TimeChart';
import { AsOf } from '@/components/When';
import { type Budget, type BudgetState, Period } from '@/gen/tollgate/control/v1/budget_pb';
import { type QueryUsageResponse, UsageDimension, UsageService } from '@/gen/tollgate/control/v1/usage_pb';
import { brief, drawn, exact, nanos, short } from '@/lib/money';
import { millis } from '@/lib/time';
import { dayIn, startOfDay } from '@/lib/usage';
import { t } from '@/text/budget';
import { limitOf, resets, scopeOf, zoneOf } from '../budgets/facts';
import classes from './Budget.module.css';
import { type Curve, curveOf, stepOf } from './curve';
import { usageFilters } from './scope';

const hour = 3_600_000;
const day = 24 * hour;
const longest = 90 * day;

/** What is left of a budget over its period, beside an even pace, and where the present one leads. */
export function Remaining({ budget: b, state, fate }: { budget: Budget; state: BudgetState; fate: string }) {
  const minute = Math.floor(useNow() / 60_000) * 60_000;
  const zone = zoneOf(b);
  const rolling = b.period === Period.ROLLING;
  const end = resets(b) ? millis(state.periodEnd) : undefined;
  const began = millis(state.periodStart) ?? Math.max(millis(b.createTime) ?? 0, minute - longest);
  // Days of a rolling budget need the days before them that count with them.
  const from = rolling ? began - b.rollingDays * day : began;
  const step = rolling ? { bucket: 'day' as const, ms: day } : stepOf((end ?? minute) - began);
  const tooShort = b.period === Period.HOUR;
  const query = useQuery(
    UsageService.method.queryUsage,
    { fromTime: timestampFromMs(Math.floor(from / hour) * hour), groupBy: [step.bucket === 'hour' ? UsageDimension.HOUR : UsageDimension.DAY], timeZone: zone, filters: usageFilters(scopeOf(b)) },
    { enabled: !tooShort, refetchInterval: 30_000, placeholderData: keepPreviousData },
  );
  return (
    <Section title={t('chart')} actions={<AsOf at={query.data?.asOf} />}>
      {tooShort ? (
        <div className="dim">{t('chartShort')}</div>
      ) : (
        <Region query={query} skeleton={7}>
          {(d) => <Chart data={d} budget={b} state={state} fate={fate} range={{ began, from, end }} step={step} now={millis(state.asOf) ?? minute} />}
        </Region>
      )}
    </Section>
  );
}

function Chart({ data, budget: b, state, fate, range, step, now }: { data: QueryUsageResponse; budget: Budget; state: BudgetState; fate: string; range: { began: number; from: number; end: number | undefined }; step: { bucket: 'hour' | 'day'; ms: number }; now: number }) {
  const zone = zoneOf(b);
  const limit = limitOf(b, state);
  const curve = useMemo<Curve>(() => {
    const steps: number[] = [];
    const spent = new Map<number, bigint>();
    if (step.bucket === 'hour') {
      for (let at = Math.floor(range.from / hour) * hour; at < now; at += hour) steps.push(at);
      for (const r of data.rows) spent.set(Date.parse(`${r.hour}:00:00Z`), nanos(r.cost));
    } else {
      for (let at = startOfDay(dayIn(range.from, zone), zone); at < now; at = startOfDay(dayIn(at + 36 * hour, zone), zone)) steps.push(at);
      for (const r of data.rows) spent.set(startOfDay(r.day, zone), nanos(r.cost));
    }
    return curveOf({
      start: range.began,
      end: range.end,
      now,
      limit,
      left: nanos(state.remaining),
      pace: state.pace ? nanos(state.pace) : undefined,
      spent,
      steps,
      stepLength: step.ms,
      ...(b.period === Period.ROLLING ? { window: b.rollingDays } : {}),
    });
  }, [data, range.from, range.began, range.end, step.bucket, step.ms, now, limit, state, b, zone]);
  const series = useMemo(() => {
    const all = [
      { id: 'left', label: t('actual'), color: 'var(--t-1)', values: curve.left },
      { id: 'even', label: t('even'), color: 'var(--t-7)', values: curve.even, dash: [2, 4] },
      { id: 'projected', label: t('projection'), color: 'var(--t-2)', values: curve.projected, dash: [6, 4] },
    ];
    return all.filter((s) => s.values.some((v) => v !== null)).map((s) => ({ ...s, values: s.values.map((v) => (v === null ? null : drawn(v))) }));
  }, [curve]);
  return (
    <>
      <TimeChart
        summary={t('chartSummary', { left: short(nanos(state.remaining)), limit: exact(limit), fate })}
        times={curve.times}
        series={series}
        kind="lines"
        height={220}
        format={(v) => brief(BigInt(Math.round(v * 1e9)))}
        atLeast={drawn(limit)}
      />
      {b.raise ? <div className={classes.sub}>{t('chartRaised')}</div> : null}
    </>
  );
}
