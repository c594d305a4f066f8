import { ActionIcon, Button, Menu } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useInfiniteQuery } from '@connectrpc/connect-query';
import { keepPreviousData } from '@tanstack/react-query';
import { IconDots, IconPencil, IconPlus, IconTrash } from '@tabler/icons-react';
import { getRouteApi } from '@tanstack/react-router';
import { type ReactNode, useMemo, useState } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { refresh } from '@/api/client';
import { problemOf, violationsOf } from '@/api/errors';
import { connection } from '@/api/live';
import { override } from '@/api/transport';
import { useKeys } from '@/app/keys';
import { Confirm } from '@/components/Confirm';
import { type Column, DataTable } from '@/components/DataTable';
import { FilterInput } from '@/components/FilterInput';
import { Page } from '@/components/Page';
import { Empty, NoMatch, Region } from '@/components/Region';
import { When } from '@/components/When';
import { type Limit, LimitService } from '@/gen/tollgate/control/v1/limit_pb';
import { t } from '@/text/limits';
import { t as words } from '@/text/money';
import { t as shell } from '@/text/shell';
import { quote } from '../../endpoints/list/facts';
import classes from '../budgets/Budgets.module.css';
import { scopeOf, scopeText } from '../budgets/facts';
import { calls, LimitForm } from './LimitForm';
import { boundText, burstText, fallbackName } from './words';

const route = getRouteApi('/budgets');

/** How fast requests may come, and how many may run. */
export function LimitList({ tabs }: { tabs: ReactNode }) {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { may } = useCaller();
  const { online } = connection.use();
  const mayWrite = may(Permission.MONEY_WRITE);
  const [deleting, setDeleting] = useState<Limit>();
  const input = { filter: search.q ?? '', orderBy: search.sort ?? '', pageSize: 500 };
  const query = useInfiniteQuery(
    LimitService.method.listLimits,
    { ...input, pageToken: '' },
    { pageParamKey: 'pageToken', getNextPageParam: (last) => last.nextPageToken || undefined, placeholderData: keepPreviousData },
  );
  const rows = useMemo(() => query.data?.pages.flatMap((p) => p.limits) ?? [], [query.data]);
  const sel = (s: string | undefined) => void navigate({ search: (x) => ({ ...x, sel: s }), replace: true });
  useKeys({ n: () => mayWrite && sel('new') });
  const columns = useMemo<Column<Limit>[]>(
    () => [
      { id: 'scope', header: t('scope'), cell: (l) => <b style={{ fontWeight: 500 }}>{scopeText(scopeOf(l))}</b>, fixed: true, width: '22%' },
      { id: 'bounds', header: t('bounds'), cell: (l) => boundText(l), width: '20%' },
      { id: 'burst', header: t('burst'), cell: (l) => burstText(l), align: 'right' },
      { id: 'fallback', header: t('fallback'), cell: (l) => t(`fallback_${fallbackName(l.fallback)}`) },
      { id: 'name', header: t('name'), cell: (l) => <span className="dim">{l.name}</span>, sort: 'name' },
      { id: 'changed', header: t('changed'), cell: (l) => <When at={l.updateTime} />, sort: 'update_time' },
    ],
    [],
  );
  const none = query.data !== undefined && rows.length === 0 && !search.q;
  const wrong = query.error ? violationsOf(problemOf(query.error), 'filter')[0]?.text : undefined;
  const editing = search.sel && search.sel !== 'new' ? rows.find((l) => l.id === search.sel) : undefined;
  const button = mayWrite ? (
    <Button leftSection={<IconPlus size={14} aria-hidden />} disabled={!online} onClick={() => sel('new')}>
      {t('newLimit')}
    </Button>
  ) : null;
  return (
    <Page
      title={words('title')}
      wide
      beside={query.data && !none ? <span className="dim">{t('total', { n: rows.length })}</span> : null}
      copy={{ cli: ['tollgate limit list', search.q ? `--filter ${quote(search.q)}` : ''].filter(Boolean).join(' '), call: { method: LimitService.method.listLimits, input } }}
      actions={none ? null : button}
    >
      {tabs}
      {none ? (
        <div className="card">
          <Empty title={t('emptyTitle')} actions={button} cli="tollgate limit create everything-requests --everything --kind requests --amount 6000">
            {t('emptyWhy')}
          </Empty>
        </div>
      ) : (
        <>
          <div className={classes.tools}>
            <FilterInput value={search.q} width={240} label={t('filterLabel')} placeholder={t('filter')} error={wrong} onChange={(q) => void navigate({ search: (s) => ({ ...s, q }), replace: true })} />
          </div>
          <div className="card">
            <Region query={wrong ? { ...query, error: null } : query} skeleton={6}>
              {() =>
                rows.length === 0 ? (
                  <NoMatch filters={1} onClear={() => void navigate({ search: (s) => ({ ...s, q: undefined }), replace: true })} />
                ) : (
                  <DataTable
                    id="limits"
                    label={t('listLabel')}
                    columns={columns}
                    rows={rows}
                    rowKey={(l) => l.id}
                    sort={search.sort ?? 'name'}
                    onSort={(sort) => void navigate({ search: (s) => ({ ...s, sort: sort === 'name' ? undefined : sort }), replace: true })}
                    {...(mayWrite ? { onOpen: (l: Limit) => sel(l.id) } : {})}
                    open={search.sel}
                    rowActions={(l) =>
                      mayWrite ? (
                        <Menu>
                          <Menu.Target>
                            <ActionIcon size={24} aria-label={t('actions', { name: l.name })}>
                              <IconDots size={16} aria-hidden />
                            </ActionIcon>
                          </Menu.Target>
                          <Menu.Dropdown>
                            <Menu.Item leftSection={<IconPencil size={16} aria-hidden />} onClick={() => sel(l.id)}>
                              {shell('edit')}
                            </Menu.Item>
                            <Menu.Item color="red.9" disabled={!online} leftSection={<IconTrash size={16} aria-hidden />} onClick={() => setDeleting(l)}>
                              {shell('delete')}
                            </Menu.Item>
                          </Menu.Dropdown>
                        </Menu>
                      ) : null
                    }
                    onEnd={query.hasNextPage && !query.isFetchingNextPage ? () => void query.fetchNextPage() : undefined}
                  />
                )
              }
            </Region>
          </div>
        </>
      )}
      {search.sel === 'new' && mayWrite ? <LimitForm onClose={() => sel(undefined)} /> : null}
      {editing && mayWrite ? <LimitForm key={editing.id} limit={editing} onClose={() => sel(undefined)} /> : null}
      {deleting ? (
        <Confirm
          title={t('deleteTitle', { name: deleting.name })}
          action={t('deleteAction')}
          run={async () => {
            await calls.deleteLimit({ limit: deleting.id, etag: deleting.etag }, { headers: deleting.managedBy ? override : {} });
            notifications.show({ message: t('deleted', { name: deleting.name }), autoClose: 4000 });
            await refresh(LimitService);
          }}
          onClose={() => setDeleting(undefined)}
        >
          {t('deleteWhy', { scope: scopeText(scopeOf(deleting)), bound: boundText(deleting) })}
        </Confirm>
      ) : null}
    </Page>
  );
}
