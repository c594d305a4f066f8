import { ActionIcon, Button, Menu } from '@mantine/core';
import { useInfiniteQuery } from '@connectrpc/connect-query';
import { keepPreviousData } from '@tanstack/react-query';
import { IconDots, IconKey, IconTrash, IconUsers } from '@tabler/icons-react';
import { Link, useNavigate } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { problemOf, violationsOf } from '@/api/errors';
import { type Column, DataTable } from '@/components/DataTable';
import { FilterInput } from '@/components/FilterInput';
import { Empty, NoMatch, Region } from '@/components/Region';
import { Status } from '@/components/Status';
import { AsOf, When } from '@/components/When';
import { BudgetStatus } from '@/gen/tollgate/control/v1/budget_pb';
import { TeamRole } from '@/gen/tollgate/control/v1/person_pb';
import { type Team, TeamService } from '@/gen/tollgate/control/v1/team_pb';
import { count, shortCount } from '@/lib/text';
import { millis, moment } from '@/lib/time';
import { zone } from '@/app/preferences';
import { t as shared } from '@/text/access';
import { t } from '@/text/teams';
import classes from '../Access.module.css';
import { CanCall, Names, Spend, unknown } from '../keys/columns';
import { type Purse, tightest } from '../keys/facts';
import { useBudgets, useFigures } from '../useFigures';
import { DeleteTeam } from './DeleteTeam';

/** When the budgets of a team run out, as the ledger expects. */
export function RunsOut({ purses }: { purses: Purse[] }) {
  const z = zone.use();
  const p = tightest(purses);
  if (!p?.state) return unknown;
  const { status, runsOutAfter } = p.state;
  if (status === BudgetStatus.EXHAUSTED) return <Status tone="bad">{t('usedUp')}</Status>;
  const at = millis(runsOutAfter);
  if (at === undefined) return <Status tone={status === BudgetStatus.AT_RISK ? 'warn' : 'ok'}>{t(status === BudgetStatus.AT_RISK ? 'nearly' : 'lasts')}</Status>;
  return <Status tone="warn">{moment(at, z)}</Status>;
}

/** Who looks after a team. */
const owners = (team: Team) => team.members.filter((m) => m.role === TeamRole.ADMIN).map((m) => m.email);

export function TeamList({ q, sort, onSearch, onCreate }: { q: string | undefined; sort: string | undefined; onSearch: (change: { q?: string | undefined; sort?: string | undefined }) => void; onCreate: (() => void) | undefined }) {
  const navigate = useNavigate();
  const { may } = useCaller();
  const figures = useFigures('team');
  const budgets = useBudgets('team');
  const [deleting, setDeleting] = useState<Team>();
  const query = useInfiniteQuery(
    TeamService.method.listTeams,
    { filter: q ?? '', orderBy: sort ?? '', pageSize: 500, pageToken: '' },
    { pageParamKey: 'pageToken', getNextPageParam: (last) => last.nextPageToken || undefined, placeholderData: keepPreviousData },
  );
  const rows = useMemo(() => query.data?.pages.flatMap((p) => p.teams) ?? [], [query.data]);
  const wrong = query.error ? violationsOf(problemOf(query.error), 'filter')[0]?.text : undefined;
  const money = may(Permission.MONEY_READ);
  const columns: Column<Team>[] = [
    {
      id: 'name',
      header: t('team'),
      fixed: true,
      sort: 'name',
      cell: (x) => (
        <Link to="/teams/$name" params={{ name: x.name }} className={classes.name} tabIndex={-1} onClick={(e) => e.stopPropagation()}>
          {x.name}
        </Link>
      ),
    },
    { id: 'status', header: shared('status'), width: 100, cell: (x) => <Status tone={x.blocked ? 'bad' : 'ok'}>{shared(x.blocked ? 'state_blocked' : 'state_active')}</Status> },
    { id: 'keys', header: t('keys'), align: 'right', cell: (x) => <span className="num">{count(x.keys)}</span> },
    ...(money
      ? ([
          { id: 'spend', header: shared('spendPeriod'), align: 'right', width: 168, cell: (x) => <Spend purses={budgets?.get(x.name) ?? []} spend={figures.of(x.name)?.spend} /> },
          { id: 'requests', header: shared('requests24h'), align: 'right', cell: (x) => (figures.of(x.name) ? <span className="num">{shortCount(figures.of(x.name)!.requests)}</span> : unknown) },
          { id: 'out', header: t('runsOut'), cell: (x) => <RunsOut purses={budgets?.get(x.name) ?? []} /> },
        ] satisfies Column<Team>[])
      : []),
    { id: 'calls', header: shared('canCall'), cell: (x) => <CanCall of={x} /> },
    { id: 'owner', header: t('owner'), cell: (x) => (owners(x).length ? <Names names={owners(x)} all="" most={1} /> : unknown) },
    { id: 'description', header: shared('description'), hidden: true, cell: (x) => x.description || unknown },
    { id: 'created', header: shared('createdAt'), align: 'right', sort: 'create_time', hidden: true, cell: (x) => <When at={x.createTime} /> },
  ];
  if (query.data && !rows.length && !q) {
    return (
      <div className="card">
        <Empty title={t('noTeams')} icon={<IconUsers size={32} />} cli="tollgate team create marketing" actions={onCreate ? <Button onClick={onCreate}>{t('create')}</Button> : null}>
          {t('noTeamsText')}
        </Empty>
      </div>
    );
  }
  return (
    <>
      <div className={classes.tools}>
        <FilterInput value={q} width={360} label={t('filter')} placeholder={t('filterHint')} error={wrong} onChange={(text) => onSearch({ q: text })} />
        <span className={classes.asOf}>{figures.error ? <span className="warn">{shared('usageFailed', { message: problemOf(figures.error).message })}</span> : <AsOf at={figures.asOf} />}</span>
      </div>
      <div className="card">
        <Region query={wrong ? { ...query, error: null } : query}>
          {() =>
            rows.length ? (
              <DataTable
                id="teams"
                label={t('teams')}
                columns={columns}
                rows={rows}
                rowKey={(x) => x.id}
                onOpen={(x) => void navigate({ to: '/teams/$name', params: { name: x.name } })}
                sort={sort ?? 'name'}
                onSort={(s) => onSearch({ sort: s === 'name' ? undefined : s })}
                tone={(x) => (x.blocked ? 'dim' : undefined)}
                onEnd={query.hasNextPage && !query.isFetchingNextPage ? () => void query.fetchNextPage() : undefined}
                rowActions={(x) => (
                  <Menu>
                    <Menu.Target>
                      <ActionIcon size={24} aria-label={shared('actionsOf', { name: x.name })} onClick={(e) => e.stopPropagation()}>
                        <IconDots size={16} aria-hidden />
                      </ActionIcon>
                    </Menu.Target>
                    <Menu.Dropdown onClick={(e) => e.stopPropagation()}>
                      <Menu.Item leftSection={<IconKey size={16} aria-hidden />} component={Link} to="/keys" search={{ q: `team:${x.name}` } as never}>
                        {t('seeKeys')}
                      </Menu.Item>
                      {onCreate ? (
                        <>
                          <Menu.Divider />
                          <Menu.Item color="red" leftSection={<IconTrash size={16} aria-hidden />} onClick={() => setDeleting(x)}>
                            {t('delete')}
                          </Menu.Item>
                        </>
                      ) : null}
                    </Menu.Dropdown>
                  </Menu>
                )}
              />
            ) : (
              <NoMatch filters={q?.trim().split(/\s+/).length ?? 0} onClear={() => onSearch({ q: undefined })} />
            )
          }
        </Region>
      </div>
      {deleting ? <DeleteTeam of={deleting} onClose={() => setDeleting(undefined)} /> : null}
    </>
  );
}
