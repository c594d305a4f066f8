import { Anchor, Skeleton, Tooltip } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { zone } from '@/app/preferences';
import { Amount } from '@/components/Amount';
import { BudgetBar } from '@/components/BudgetBar';
import { Region } from '@/components/Region';
import { Spark } from '@/components/Spark';
import { AsOf } from '@/components/When';
import type { GetOverviewResponse, MonthSpend } from '@/gen/tollgate/control/v1/overview_pb';
import { brief, nanos, short } from '@/lib/money';
import { count, percent } from '@/lib/text';
import { millis, moment, shortDay } from '@/lib/time';
import { t } from '@/text/overview';
import classes from './OverviewPage.module.css';

type Query = Parameters<typeof Region<GetOverviewResponse>>[0]['query'];

/** The four figures. */
export function Tiles({ query }: { query: Query }) {
  return (
    <div className="card">
      <Region query={query} skeleton={<Skeleton height={128} radius="md" />}>
        {(o) => (
          <div className={classes.tiles}>
            <Tile name={t('spend')} asOf={<AsOf at={o.asOf} />}>
              {o.month ? <Spend month={o.month} /> : <span className="warn">{t('ledgerAway', { why: o.moneyMissing })}</span>}
            </Tile>
            <Tile name={t('requests')}>
              {o.day ? (
                <>
                  <div className={classes.big}>{count(o.day.requests)}</div>
                  <span className={classes.note}>{against(o.day.requests, o.day.requestsBefore)}</span>
                  <div className={classes.spark}>
                    <Spark values={o.day.hours.map((h) => Number(h.requests))} width={220} height={28} kind="bars" label={t('hourly')} />
                  </div>
                </>
              ) : (
                '–'
              )}
            </Tile>
            <Tile name={t('errors')}>{o.day ? <Errors day={o.day} /> : '–'}</Tile>
            <Tile name={<Tooltip label={t('overheadHint')} multiline w={260}><span>{t('overhead')}</span></Tooltip>}>
              {o.fleet && o.fleet.overheadP50Us > 0n ? (
                <>
                  <div className={classes.big}>
                    <span>
                      <span className={classes.beside}>{t('p50')}</span> {micros(o.fleet.overheadP50Us)}
                    </span>
                    <span>
                      <span className={classes.beside}>{t('p99')}</span> {micros(o.fleet.overheadP99Us)}
                    </span>
                  </div>
                  <span className={classes.note}>{t('perSecond', { rate: o.fleet.requestRate.toFixed(o.fleet.requestRate < 10 ? 1 : 0) })}</span>
                </>
              ) : (
                <>
                  <div className={classes.big}>–</div>
                  <span className={classes.note}>{t('idle')}</span>
                </>
              )}
            </Tile>
          </div>
        )}
      </Region>
    </div>
  );
}

function Tile({ name, asOf, children }: { name: ReactNode; asOf?: ReactNode; children: ReactNode }) {
  return (
    <div className={classes.tile}>
      <div className={classes.tileName}>
        <span>{name}</span>
        {asOf}
      </div>
      {children}
    </div>
  );
}

function Spend({ month }: { month: MonthSpend }) {
  const z = zone.use();
  const spent = nanos(month.spent);
  const state = month.state;
  const limit = nanos(state?.limit ?? month.budget?.amount);
  const start = millis(month.start) ?? 0;
  const end = millis(month.end) ?? 0;
  const elapsed = end > start ? (Date.now() - start) / (end - start) : undefined;
  const out = millis(state?.runsOutAfter);
  const early = out === undefined ? 0 : Math.floor((end - out) / 86_400_000);
  return (
    <>
      <div className={classes.big}>
        <Amount value={spent} />
        {month.budget ? <span className={classes.beside}>{t('ofLimit', { limit: brief(limit) })}</span> : null}
      </div>
      {month.budget ? (
        <>
          <BudgetBar spent={spent} held={nanos(state?.held)} limit={limit} elapsed={elapsed} />
          <span className={out !== undefined ? 'warn' : classes.note}>
            {spent >= limit
              ? t('usedUp')
              : out !== undefined
                ? early > 0
                  ? t('runsOutEarly', { when: moment(out, z), n: early })
                  : t('runsOut', { when: moment(out, z) })
                : state?.projected
                  ? t('onTrack', { amount: short(nanos(state.projected)), day: shortDay(end, z) })
                  : null}
          </span>
        </>
      ) : (
        <span className={classes.note}>
          {t('noBudget')}{' '}
          <Anchor component={Link} to="/budgets" search={{ sel: 'new' } as never} size="xs">
            {t('setBudget')}
          </Anchor>
        </span>
      )}
    </>
  );
}

function Errors({ day }: { day: NonNullable<GetOverviewResponse['day']> }) {
  const share = day.requests > 0n ? Number(day.errors) / Number(day.requests) : 0;
  const before = day.requestsBefore > 0n ? Number(day.errorsBefore) / Number(day.requestsBefore) : undefined;
  const change = before === undefined ? undefined : (share - before) * 100;
  return (
    <>
      <div className={classes.big}>
        {percent(share)}
        <span className={classes.beside}>{t('failed', { n: Number(day.errors) })}</span>
      </div>
      {change !== undefined ? (
        <span className={change > 1 ? 'warn' : classes.note}>{t('points', { change: `${change >= 0 ? '+' : '−'}${Math.abs(change).toFixed(1)}` })}</span>
      ) : null}
      <div className={classes.spark}>
        <Spark values={day.hours.map((h) => Number(h.errors))} width={220} height={28} kind="bars" color="var(--t-danger)" label={t('hourlyErrors')} />
      </div>
    </>
  );
}

function against(now: bigint, before: bigint): string {
  if (before === 0n) return '';
  const change = Number(now - before) / Number(before);
  if (Math.abs(change) < 0.005) return t('sameAsBefore');
  const share = `${Math.abs(change * 100).toFixed(Math.abs(change) < 0.1 ? 1 : 0)} %`;
  return change > 0 ? t('moreThanBefore', { share }) : t('lessThanBefore', { share });
}

const micros = (us: bigint) => (us < 1000n ? `${us} µs` : `${(Number(us) / 1000).toFixed(1)} ms`);
