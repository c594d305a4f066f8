import { Anchor } from '@mantine/core';
import { createQueryOptions, useTransport } from '@connectrpc/connect-query';
import { useQueries } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { Permission, useCaller } from '@/api/caller';
import { zone } from '@/app/preferences';
import { BudgetBar } from '@/components/BudgetBar';
import { Section } from '@/components/Page';
import { Failure, Lines, Soon } from '@/components/Region';
import { Chip } from '@/components/Status';
import { AsOf } from '@/components/When';
import { whole } from '@/lib/text';
import { type Budget, BudgetService, Enforcement, Period } from '@/gen/tollgate/control/v1/budget_pb';
import { type Limit, LimitKind, LimitService } from '@/gen/tollgate/control/v1/limit_pb';
import { nanos, short } from '@/lib/money';
import { absolute, millis } from '@/lib/time';
import { t } from '@/text/access';
import classes from './Access.module.css';
import { elapsed } from './keys/columns';
import { effective, type Left, type Purse, purses } from './keys/facts';

/** What a budget or a limit is on. */
export interface Subject {
  key?: string;
  team?: string;
  customer?: string;
  tags?: string[];
}

const refreshEvery = 15_000;

// One filter for each object: a list is filtered by one of them at a time.
const filtersOf = (s: Subject): string[] => [
  ...(s.key ? [`key:"${s.key}"`] : []),
  ...(s.team ? [`team:"${s.team}"`] : []),
  ...(s.customer ? [`customer:"${s.customer}"`] : []),
  ...(s.tags ?? []).map((tag) => `tag:"${tag}"`),
  'scope:everything',
];

type What = 'key' | 'team' | 'everything' | 'customer' | 'tag';
const what = (b: Budget): string => {
  const scope = b.scope.case as What;
  return scope === 'customer' || scope === 'tag' ? t(`what_${scope}`, { name: b.scope.value as string }) : t(`what_${scope as 'key' | 'team' | 'everything'}`);
};

/** Which budget refuses a request first, in one sentence; nothing where none does. */
export function limitedBy(left: Left[]): string {
  if (!left.length) return '';
  return t('limitedBy', { all: left.map((l) => t('leftOf', { what: what(l.budget), left: short(l.left) })).join(' · '), tightest: what(left[0]!.budget) });
}

/** The budgets and limits that requests of a key or of a team are checked against. */
export function LimitsPanel({ of, create, sentence = true }: { of: Subject; create: string; sentence?: boolean }) {
  const transport = useTransport();
  const { may } = useCaller();
  const enabled = may(Permission.MONEY_READ);
  const filters = filtersOf(of);
  const budgets = useQueries({
    queries: filters.map((filter) => ({ ...createQueryOptions(BudgetService.method.listBudgets, { filter, withStates: true, pageSize: 100 }, { transport }), enabled, refetchInterval: refreshEvery })),
  });
  const limits = useQueries({ queries: filters.map((filter) => ({ ...createQueryOptions(LimitService.method.listLimits, { filter, pageSize: 100 }, { transport }), enabled })) });
  if (!enabled) return null;
  const error = [...budgets, ...limits].find((q) => q.error)?.error;
  const loading = [...budgets, ...limits].some((q) => q.isPending);
  const all: Purse[] = budgets.flatMap((q) => (q.data ? purses(q.data) : []));
  const rates = limits.flatMap((q) => q.data?.limits ?? []);
  const missing = budgets.map((q) => q.data?.statesMissing).find(Boolean);
  const told = limitedBy(effective(all));
  return (
    <Section title={t('limits')} actions={<AsOf at={all.find((p) => p.state)?.state?.asOf} />}>
      {error ? <Failure error={error} /> : null}
      {loading && !all.length ? (
        <Soon>
          <Lines n={4} />
        </Soon>
      ) : (
        <div className={classes.limits}>
          {sentence && told ? <p className={classes.sentence}>{told}</p> : null}
          {missing ? <div className="warn">{t('statesMissing', { why: missing })}</div> : null}
          {all.map((p) => (
            <BudgetRow key={p.budget.id} purse={p} />
          ))}
          {rates.map((l) => (
            <LimitRow key={l.id} limit={l} />
          ))}
          {!all.length && !rates.length && !error ? <span className="dim">{t('unlimited')}</span> : null}
          {may(Permission.MONEY_WRITE) ? (
            <Anchor component={Link} to="/budgets" search={{ sel: 'new', q: create } as never} size="sm">
              {t('addBudget')}
            </Anchor>
          ) : null}
        </div>
      )}
    </Section>
  );
}

const scopeText = (scope: Budget['scope'] | Limit['scope']): string => {
  const kind = scope.case as What;
  return kind === 'key' || kind === 'everything' ? t(`scope_${kind}`) : t(`scope_${kind}`, { name: scope.value as string });
};

function BudgetRow({ purse }: { purse: Purse }) {
  const z = zone.use();
  const { budget: b, state: s } = purse;
  const end = millis(s?.periodEnd);
  const period = t(`slash_${Period[b.period] as 'MONTH'}`);
  const held = nanos(s?.held);
  return (
    <div className={classes.limit}>
      <div className={classes.limitHead}>
        <span>
          <Link to="/budgets/$id" params={{ id: b.name }}>
            {scopeText(b.scope)}
          </Link>{' '}
          <Chip>{t(b.enforcement === Enforcement.SOFT ? 'soft' : 'hard')}</Chip>
        </span>
        <span className="num">
          {s
            ? held > 0n
              ? t('spentHeld', { spent: short(nanos(s.spent)), held: short(held), limit: short(nanos(s.limit)) + period })
              : t('spentOf', { spent: short(nanos(s.spent)), limit: short(nanos(s.limit)) + period })
            : short(nanos(b.amount)) + period}
        </span>
      </div>
      {s ? <BudgetBar spent={nanos(s.spent)} held={held} limit={nanos(s.limit)} elapsed={elapsed(purse, Date.now())} /> : null}
      {end !== undefined ? <span className="dim">{t('resets', { at: absolute(end, z) })}</span> : null}
    </div>
  );
}

function LimitRow({ limit: l }: { limit: Limit }) {
  return (
    <div className={classes.limitHead}>
      <span>
        <b>{scopeText(l.scope)}</b>
      </span>
      <span className="num">{t(`limit_${LimitKind[l.kind] as 'REQUESTS'}`, { n: whole(l.amount) })}</span>
    </div>
  );
}
