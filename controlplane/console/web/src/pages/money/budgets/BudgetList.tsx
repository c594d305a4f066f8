import { Alert, Button, Menu, MultiSelect } from '@mantine/core';
import { IconArrowsSort, IconCheck, IconPlus } from '@tabler/icons-react';
import { getRouteApi } from '@tanstack/react-router';
import { type ReactNode, useCallback, useMemo, useRef, useState } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { problemOf, violationsOf } from '@/api/errors';
import { connection } from '@/api/live';
import { useNow } from '@/app/clock';
import { useKeys } from '@/app/keys';
import { zone } from '@/app/preferences';
import { FilterInput } from '@/components/FilterInput';
import { Page } from '@/components/Page';
import { Empty, NoMatch, Region } from '@/components/Region';
import { AsOf } from '@/components/When';
import { type Budget, BudgetService, BudgetStatus } from '@/gen/tollgate/control/v1/budget_pb';
import { nanos, shareOf } from '@/lib/money';
import { t } from '@/text/money';
import { quote } from '../../endpoints/list/facts';
import { BudgetRow } from './BudgetRow';
import classes from './Budgets.module.css';
import { CreateBudget } from './CreateBudget';
import { limitOf, type ScopeKind, scopeOf, scopes, soft, untilText } from './facts';
import { byFate, fateOf } from './fate';
import { useBudgets } from './useBudgets';
import { useRefused } from './useRefused';

const route = getRouteApi('/budgets');
const sorts = ['out', 'share', 'spent', 'name'] as const;
const shownAtFirst = 100;

/** Who runs out, and when, the first at the top. */
export function BudgetList({ tabs }: { tabs: ReactNode }) {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { may } = useCaller();
  const { online } = connection.use();
  const z = zone.use();
  // Sentences are exact to the minute.
  const minute = Math.floor(useNow() / 60_000) * 60_000;
  const { query, rows: all, missing } = useBudgets(search.q ?? '');
  const refused = useRefused(all.some((r) => r.state?.status === BudgetStatus.EXHAUSTED));
  const sort = sorts.find((s) => s === search.sort) ?? 'out';
  const wanted = search.scope as ScopeKind[] | undefined;
  const [shown, setShown] = useState(shownAtFirst);
  const rows = useMemo(() => {
    const made = all
      .filter(({ budget }) => !wanted?.length || wanted.includes(scopeOf(budget).kind))
      .map(({ budget, state }) => {
        const used = state?.status === BudgetStatus.EXHAUSTED;
        return {
          budget,
          state,
          spent: nanos(state?.spent),
          share: shareOf(nanos(state?.spent), limitOf(budget, state)),
          fate: fateOf(state, { now: minute, zone: z, soft: soft(budget), end: untilText(budget, state), refused: used ? refused.of(budget).length : undefined }),
        };
      });
    if (sort === 'out') made.sort(byFate);
    else if (sort === 'share') made.sort((a, b) => b.share - a.share);
    else if (sort === 'spent') made.sort((a, b) => (a.spent < b.spent ? 1 : a.spent > b.spent ? -1 : 0));
    return made;
  }, [all, wanted, sort, minute, z, refused]);
  const list = useRef<HTMLDivElement>(null);
  const open = useCallback((b: Budget) => void navigate({ to: '/budgets/$id', params: { id: b.id } }), [navigate]);
  const mayWrite = may(Permission.MONEY_WRITE);
  const create = () => void navigate({ search: (s) => ({ ...s, sel: 'new' }) });
  const walk = (by: number) => {
    const items = [...(list.current?.querySelectorAll<HTMLElement>('[data-row]') ?? [])];
    const at = items.findIndex((el) => el.contains(document.activeElement));
    items[Math.min(Math.max(at + by, 0), items.length - 1)]?.focus();
  };
  useKeys({ n: () => mayWrite && create(), j: () => walk(1), k: () => walk(-1) });
  const wrong = query.error ? violationsOf(problemOf(query.error), 'filter')[0]?.text : undefined;
  const none = query.data !== undefined && all.length === 0 && !search.q;
  const newButton = mayWrite ? (
    <Button leftSection={<IconPlus size={14} aria-hidden />} disabled={!online} onClick={create}>
      {t('newBudget')}
    </Button>
  ) : null;
  return (
    <Page
      title={t('title')}
      wide
      beside={query.data && !none ? <span className="dim">{t('total', { n: rows.length })}</span> : null}
      copy={{
        cli: ['tollgate budget list', search.q ? `--filter ${quote(search.q)}` : ''].filter(Boolean).join(' '),
        call: { method: BudgetService.method.listBudgets, input: { filter: search.q ?? '', withStates: true } },
      }}
      actions={none ? null : newButton}
    >
      {tabs}
      {none ? (
        <div className="card">
          <Empty title={t('emptyTitle')} actions={newButton} cli="tollgate budget create everything --everything --amount 1000 --period month">
            {t('emptyWhy')}
          </Empty>
        </div>
      ) : (
        <>
          <div className={classes.tools}>
            <FilterInput value={search.q} width={240} label={t('filterLabel')} placeholder={t('filter')} error={wrong} onChange={(q) => void navigate({ search: (s) => ({ ...s, q }), replace: true })} />
            <MultiSelect
              size="xs"
              w={{ base: '100%', xs: 240 }}
              aria-label={t('scope')}
              placeholder={wanted?.length ? '' : t('scopeAll')}
              clearable
              data={scopes.map((value) => ({ value, label: t(`scope_${value}`) }))}
              value={wanted ?? []}
              onChange={(v) => void navigate({ search: (s) => ({ ...s, scope: v.length ? v : undefined }), replace: true })}
            />
            <Menu position="bottom-start">
              <Menu.Target>
                <Button variant="default" leftSection={<IconArrowsSort size={14} aria-hidden />} aria-label={`${t('sort')}: ${t(`sort_${sort}`)}`}>
                  {t(`sort_${sort}`)}
                </Button>
              </Menu.Target>
              <Menu.Dropdown>
                {sorts.map((s) => (
                  <Menu.Item key={s} leftSection={sort === s ? <IconCheck size={14} aria-hidden /> : <span style={{ width: 14 }} />} onClick={() => void navigate({ search: (x) => ({ ...x, sort: s === 'out' ? undefined : s }), replace: true })}>
                    {t(`sort_${s}`)}
                  </Menu.Item>
                ))}
              </Menu.Dropdown>
            </Menu>
            <span className={classes.asOf}>
              <AsOf at={all[0]?.state?.asOf} />
            </span>
          </div>
          {missing ? <Alert color="yellow" variant="light">{t('statesMissing', { why: missing })}</Alert> : null}
          <div className="card">
            <Region query={wrong ? { ...query, error: null } : query} skeleton={8}>
              {() =>
                rows.length === 0 ? (
                  <NoMatch filters={(search.q ? 1 : 0) + (wanted?.length ? 1 : 0)} onClear={() => void navigate({ search: (s) => ({ ...s, q: undefined, scope: undefined }), replace: true })} />
                ) : (
                  <>
                    <div role="table" aria-label={t('listLabel')} ref={list}>
                      <div role="rowgroup">
                        <div role="row" className={classes.head}>
                          {([t('columnWhat'), t('columnSpent'), t('columnUsed'), t('columnRule'), t('columnFate')] as const).map((h) => (
                            <span role="columnheader" key={h}>{h}</span>
                          ))}
                          <span role="columnheader"><span className="visually-hidden">{t('columnActions')}</span></span>
                        </div>
                      </div>
                      <div role="rowgroup">
                        {rows.slice(0, shown).map((r) => (
                          <BudgetRow key={r.budget.id} budget={r.budget} state={r.state} fate={r.fate} now={minute} mayRaise={mayWrite} onOpen={open} />
                        ))}
                      </div>
                    </div>
                    {rows.length > shown ? (
                      <div className={classes.more}>
                        <Button variant="subtle" onClick={() => setShown((n) => n + 500)}>{t('showMore', { n: Math.min(500, rows.length - shown) })}</Button>
                      </div>
                    ) : null}
                    <Legend />
                  </>
                )
              }
            </Region>
          </div>
        </>
      )}
      {search.sel === 'new' && mayWrite ? <CreateBudget onClose={() => void navigate({ search: (s) => ({ ...s, sel: undefined }) })} /> : null}
    </Page>
  );
}

function Legend() {
  return (
    <div className={classes.legend} aria-hidden>
      {(['spent', 'held', 'left', 'today'] as const).map((k) => (
        <span key={k} className={classes.key}>
          <i data-k={k} /> {t(`key_${k}`)}
        </span>
      ))}
    </div>
  );
}
