import { Tooltip } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { Amount } from '@/components/Amount';
import { BudgetBar } from '@/components/BudgetBar';
import type { Column } from '@/components/DataTable';
import { Status } from '@/components/Status';
import { At, When } from '@/components/When';
import type { Key } from '@/gen/tollgate/control/v1/key_pb';
import { exact, nanos, shareOf, short } from '@/lib/money';
import { count, list, percent, shortCount } from '@/lib/text';
import { millis } from '@/lib/time';
import { t } from '@/text/access';
import classes from '../Access.module.css';
import type { Figures } from '../useFigures';
import { masked, type Purse, stateOf, tightest, tones } from './facts';

export const unknown = <span className="dim">–</span>;

export function KeyState({ of: k, purses }: { of: Key; purses: Purse[] | undefined }) {
  const state = stateOf(k, purses);
  return (
    <Status tone={tones[state]} hint={state === 'active' ? undefined : t(`state_${state}_hint`)}>
      {t(`state_${state}`)}
    </Status>
  );
}

/** Names as they fit in a cell, all of them on hover. */
export function Names({ names, all, most = 2 }: { names: string[]; all: string; most?: number }) {
  if (!names.length) return <span className="dim">{all}</span>;
  const rest = names.length - most;
  const text = (
    <span className="mono">
      {names.slice(0, most).join(', ')}
      {rest > 0 ? <span className="dim">{` ${t('andMore', { n: rest })}`}</span> : null}
    </span>
  );
  return rest > 0 ? (
    <Tooltip label={list(names.slice(0, 40))} multiline maw={360}>
      {text}
    </Tooltip>
  ) : (
    text
  );
}

export const CanCall = ({ of: k }: { of: { restricted: boolean; endpoints: string[] } }) =>
  k.restricted && !k.endpoints.length ? <span className="warn">{t('callsNone')}</span> : <Names names={k.restricted ? k.endpoints : []} all={t('callsAll')} />;

/** How much of the period of a budget is over, from 0 to 1; undefined for one that does not end. */
export function elapsed(p: Purse, now: number): number | undefined {
  const from = millis(p.state?.periodStart);
  const to = millis(p.state?.periodEnd);
  return from === undefined || to === undefined ? undefined : Math.min(Math.max((now - from) / (to - from), 0), 1);
}

/** What was spent of the budget of which the least share is left, or what was spent at all. */
export function Spend({ purses, spend }: { purses: Purse[]; spend: bigint | undefined }) {
  const p = tightest(purses);
  if (!p?.state) return spend === undefined ? unknown : <Amount value={spend} />;
  const spent = nanos(p.state.spent);
  const limit = nanos(p.state.limit);
  return (
    <Tooltip label={t('budgetHint', { spent: exact(spent), limit: exact(limit), name: p.budget.name, share: percent(shareOf(spent, limit)) })} multiline maw={320}>
      <span className={classes.spend}>
        <span className="num">
          {short(spent)} <span className="dim">{t('ofLimit', { limit: short(limit).replace(/\.00$/, '') })}</span>
        </span>
        <BudgetBar thin spent={spent} held={nanos(p.state.held)} limit={limit} elapsed={elapsed(p, Date.now())} />
      </span>
    </Tooltip>
  );
}

/** The columns of the list of keys; those whose figures are not to be had are left out. */
export function columnsOf(figures: Figures, budgets: Map<string, Purse[]> | undefined, money: boolean, complete: boolean, without: string[] = []): Column<Key>[] {
  const local = (name: string) => (complete ? { sort: name } : {});
  const columns: Column<Key>[] = [
    { id: 'status', header: t('status'), width: 112, cell: (k) => <KeyState of={k} purses={budgets?.get(k.name)} /> },
    {
      id: 'name',
      header: t('name'),
      fixed: true,
      sort: 'name',
      cell: (k) => (
        <Link to="/keys/$id" params={{ id: k.name }} className={classes.name} tabIndex={-1} onClick={(e) => e.stopPropagation()}>
          {k.name}
        </Link>
      ),
    },
    { id: 'secret', header: t('secret'), cell: (k) => (k.suffix ? <span className="mono">{masked(k)}</span> : <span className="dim">{t('imported')}</span>) },
    {
      id: 'team',
      header: t('team'),
      cell: (k) =>
        k.team ? (
          <Link to="/teams/$name" params={{ name: k.team }} className={classes.plain} tabIndex={-1} onClick={(e) => e.stopPropagation()}>
            {k.team}
          </Link>
        ) : (
          unknown
        ),
    },
    { id: 'calls', header: t('canCall'), cell: (k) => <CanCall of={k} /> },
    ...(money
      ? ([
          { id: 'spend', header: t('spendPeriod'), align: 'right', width: 168, ...local('spend'), cell: (k) => <Spend purses={budgets?.get(k.name) ?? []} spend={figures.of(k.id)?.spend} /> },
          {
            id: 'requests',
            header: t('requests24h'),
            align: 'right',
            ...local('requests'),
            cell: (k) => {
              const n = figures.of(k.id)?.requests;
              return n === undefined ? unknown : <Tooltip label={count(n)}><span className={n ? 'num' : 'dim'}>{shortCount(n)}</span></Tooltip>;
            },
          },
          { id: 'used', header: t('lastUsed'), align: 'right', ...local('used'), cell: (k) => <LastUsed at={figures.of(k.id)?.last} known={figures.of(k.id) !== undefined} /> },
        ] satisfies Column<Key>[])
      : []),
    { id: 'expires', header: t('expires'), align: 'right', sort: 'expire_time', cell: (k) => (k.expireTime ? <At at={k.expireTime} /> : <span className="dim">{t('never')}</span>) },
    { id: 'created', header: t('createdAt'), align: 'right', sort: 'create_time', hidden: true, cell: (k) => <When at={k.createTime} /> },
    { id: 'tags', header: t('tags'), hidden: true, cell: (k) => <Names names={k.tags} all="–" /> },
    { id: 'customer', header: t('customer'), hidden: true, cell: (k) => k.customer || unknown },
    { id: 'models', header: t('models'), hidden: true, cell: (k) => <Names names={k.models} all={t('allModels')} /> },
  ];
  return columns.filter((c) => !without.includes(c.id));
}

const hour = 3_600_000;

/** When a key was used, as exactly as usage is kept: by the hour in the last day, by the day before. */
function LastUsed({ at, known }: { at: number | undefined; known: boolean }) {
  if (at === undefined) return known ? <Tooltip label={t('unusedHint')}><span className="dim">{t('unused')}</span></Tooltip> : unknown;
  if (Date.now() - at < hour) return <Tooltip label={t('lastUsedHint')}><span>{t('thisHour')}</span></Tooltip>;
  return <When at={at} />;
}
