import { Alert, Button } from '@mantine/core';
import { useInfiniteQuery } from '@connectrpc/connect-query';
import { keepPreviousData } from '@tanstack/react-query';
import { IconPlus } from '@tabler/icons-react';
import { getRouteApi, Link } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { problemOf, violationsOf } from '@/api/errors';
import { useKeys } from '@/app/keys';
import { DataTable } from '@/components/DataTable';
import { FilterInput } from '@/components/FilterInput';
import { Page } from '@/components/Page';
import { NoMatch, Region } from '@/components/Region';
import { AsOf } from '@/components/When';
import { type Endpoint, EndpointService } from '@/gen/tollgate/control/v1/endpoint_pb';
import { openTry } from '@/pages/requests/try/TryDrawer';
import { t } from '@/text/endpoints';
import { DeleteEndpoint, yamlOf } from './actions';
import classes from './EndpointsPage.module.css';
import { columnsOf } from './list/columns';
import { overlaps, quote, splitFilter, stateOf } from './list/facts';
import { NoEndpoints } from './list/NoEndpoints';
import { RowMenu } from './list/RowMenu';
import { useRecent } from './list/useRecent';
import { WhereTo } from './list/WhereTo';

const route = getRouteApi('/endpoints');
const pageSize = 500;

/** Which routes there are, whether they work, and what they cost. */
export function EndpointsPage() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { may } = useCaller();
  const mayWrite = may(Permission.CONFIG_WRITE);
  const usage = useRecent();
  const filter = splitFilter(search.q);
  const input = { filter: filter.server, orderBy: search.sort ?? '', pageSize };
  const query = useInfiniteQuery(
    EndpointService.method.listEndpoints,
    { ...input, pageToken: '' },
    { pageParamKey: 'pageToken', getNextPageParam: (last) => last.nextPageToken || undefined, placeholderData: keepPreviousData },
  );
  const all = useMemo(() => query.data?.pages.flatMap((p) => p.endpoints) ?? [], [query.data]);
  const rows = filter.states ? all.filter((e) => filter.states!.is.includes(stateOf(e, usage.recent.get(e.id))) !== filter.states!.not) : all;
  const columns = useMemo(() => columnsOf(usage, may(Permission.MONEY_READ)), [usage, may]);
  const [deleting, setDeleting] = useState<Endpoint>();
  const create = () => navigate({ to: '/endpoints/new' });
  const open = (e: Endpoint) => navigate({ to: '/endpoints/$name/$tab', params: { name: e.name, tab: 'overview' } });
  useKeys({
    n: () => mayWrite && create(),
    t: () => {
      const id = (document.activeElement as HTMLElement | null)?.closest<HTMLElement>('[data-row]')?.dataset.row;
      const found = all.find((e) => e.id === id);
      if (found) openTry(found.name);
    },
  });
  const wrong = query.error ? violationsOf(problemOf(query.error), 'filter')[0]?.text : undefined;
  const none = query.data !== undefined && all.length === 0 && !search.q;
  return (
    <Page
      title={t('title')}
      wide
      beside={query.data && !none ? <span className="dim">{t('total', { n: rows.length })}</span> : null}
      copy={{
        cli: ['tollgate endpoint list', filter.server ? `--filter ${quote(filter.server)}` : '', search.sort ? `--sort ${search.sort}` : ''].filter(Boolean).join(' '),
        call: { method: EndpointService.method.listEndpoints, input },
        yaml: () => yamlOf(),
      }}
      actions={
        mayWrite && !none ? (
          <Button component={Link} to="/endpoints/new" leftSection={<IconPlus size={14} aria-hidden />}>
            {t('newEndpoint')}
          </Button>
        ) : null
      }
    >
      {none ? (
        <div className="card">
          <NoEndpoints mayCreate={mayWrite} />
        </div>
      ) : (
        <>
          <WhereTo value={search.path} onChange={(path) => void navigate({ search: (s) => ({ ...s, path }), replace: true })} />
          <Conflicts endpoints={all} />
          <div className={classes.tools}>
            <FilterInput value={search.q} width={460} label={t('filterLabel')} placeholder={t('filter')} error={wrong} onChange={(q) => void navigate({ search: (s) => ({ ...s, q }), replace: true })} />
            <span className={classes.asOf}>{usage.error ? <span className="warn">{t('usageFailed', { message: problemOf(usage.error).message })}</span> : <AsOf at={usage.asOf} />}</span>
          </div>
          <div className="card">
            <Region query={wrong ? { ...query, error: null } : query} skeleton={8}>
              {() =>
                rows.length === 0 ? (
                  <NoMatch filters={search.q?.trim().split(/\s+/).length ?? 0} onClear={() => void navigate({ search: (s) => ({ ...s, q: undefined }), replace: true })} />
                ) : (
                  <DataTable
                    id="endpoints"
                    label={t('tableLabel')}
                    columns={columns}
                    rows={rows}
                    rowKey={(e) => e.id}
                    onOpen={(e) => void open(e)}
                    sort={search.sort ?? 'name'}
                    onSort={(sort) => void navigate({ search: (s) => ({ ...s, sort: sort === 'name' ? undefined : sort }), replace: true })}
                    tone={(e) => (e.disabled ? 'dim' : undefined)}
                    rowActions={(e) => <RowMenu endpoint={e} onDelete={() => setDeleting(e)} />}
                    onEnd={query.hasNextPage && !query.isFetchingNextPage ? () => void query.fetchNextPage() : undefined}
                  />
                )
              }
            </Region>
          </div>
        </>
      )}
      {deleting ? <DeleteEndpoint endpoint={deleting} requests={usage.known ? (usage.recent.get(deleting.id)?.requests ?? 0) : undefined} onClose={() => setDeleting(undefined)} /> : null}
    </Page>
  );
}

/** Which paths lie inside others; nothing where none does. */
function Conflicts({ endpoints }: { endpoints: Endpoint[] }) {
  const found = useMemo(() => overlaps(endpoints), [endpoints]);
  if (!found.length) return null;
  return (
    <Alert color="yellow" variant="light" className={classes.conflicts} title={t('overlapTitle', { n: found.length })}>
      {found.slice(0, 6).map(({ inner, outer }) => (
        <div key={inner.id}>
          {t.rich('overlap', {
            inner: (
              <Link key="inner" to="/endpoints/$name/$tab" params={{ name: inner.name, tab: 'configure' }} className="mono">
                {inner.path}
              </Link>
            ),
            outer: (
              <Link key="outer" to="/endpoints/$name/$tab" params={{ name: outer.name, tab: 'configure' }} className="mono">
                {outer.path}
              </Link>
            ),
          })}
        </div>
      ))}
    </Alert>
  );
}
