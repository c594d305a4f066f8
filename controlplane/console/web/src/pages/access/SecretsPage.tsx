import { ActionIcon, Button, Menu, Tooltip } from '@mantine/core';
import { useInfiniteQuery } from '@connectrpc/connect-query';
import { keepPreviousData } from '@tanstack/react-query';
import { IconDots, IconLock, IconPlus, IconRefresh, IconTrash } from '@tabler/icons-react';
import { getRouteApi, Link } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { problemOf, violationsOf } from '@/api/errors';
import { fleet } from '@/api/live';
import { useKeys } from '@/app/keys';
import { type Column, DataTable } from '@/components/DataTable';
import { FilterInput } from '@/components/FilterInput';
import { Page } from '@/components/Page';
import { Empty, NoMatch, Region } from '@/components/Region';
import { Status } from '@/components/Status';
import { When } from '@/components/When';
import { type Secret, SecretService } from '@/gen/tollgate/control/v1/secret_pb';
import { t as shared } from '@/text/access';
import { t } from '@/text/secrets';
import classes from './Access.module.css';
import { Names, unknown } from './keys/columns';
import { quote } from './keys/facts';
import { providerOf, type Resolves, resolves, stale, users } from './secrets/facts';
import { DeleteSecret, RotateSecret } from './secrets/SecretActions';
import { SecretForm } from './secrets/SecretForm';
import { yamlOf } from './yaml';

const route = getRouteApi('/secrets');

/** On how many edges a secret can be read, and why not on the others. */
export function ResolvesOn({ of: r }: { of: Resolves | undefined }) {
  if (!r) return unknown;
  return (
    <Status tone={r.live === r.total ? 'ok' : 'bad'} hint={r.missing.length ? r.missing.map((m) => t('missingOn', { node: m.node, why: m.error })).join(' ') : undefined}>
      {t('edges', { live: r.live, total: r.total })}
    </Status>
  );
}

/** When a value was last replaced, with a sign where that is long ago. */
export function Rotated({ of: s }: { of: Secret }) {
  if (s.reference) return <Tooltip label={t('rotatedOutside')}>{unknown}</Tooltip>;
  return stale(s, Date.now()) ? (
    <Status tone="warn" hint={t('staleHint')}>
      <When at={s.updateTime} />
    </Status>
  ) : (
    <When at={s.updateTime} />
  );
}

/** Credentials of vendors: where they are, what uses them, and whether edges can read them. */
export function SecretsPage() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { may } = useCaller();
  const mayWrite = may(Permission.SECRETS_WRITE);
  const nodes = fleet.use()?.nodes;
  const [doing, setDoing] = useState<{ kind: 'rotate' | 'delete'; of: Secret }>();
  const set = (change: Partial<typeof search>) => void navigate({ search: (s) => ({ ...s, ...change }), replace: true });
  const create = () => set({ sel: 'new' });
  useKeys({ n: () => mayWrite && create() });
  const input = { filter: search.q ?? '', orderBy: search.sort ?? '', pageSize: 500 };
  const query = useInfiniteQuery(
    SecretService.method.listSecrets,
    { ...input, pageToken: '' },
    { pageParamKey: 'pageToken', getNextPageParam: (last) => last.nextPageToken || undefined, placeholderData: keepPreviousData },
  );
  const rows = useMemo(() => query.data?.pages.flatMap((p) => p.secrets) ?? [], [query.data]);
  const wrong = query.error ? violationsOf(problemOf(query.error), 'filter')[0]?.text : undefined;
  const none = query.data !== undefined && !rows.length && !search.q;
  const open = (s: Secret) => void navigate({ to: '/secrets/$name', params: { name: s.name } });
  const columns: Column<Secret>[] = [
    {
      id: 'name',
      header: shared('name'),
      fixed: true,
      sort: 'name',
      cell: (s) => (
        <Link to="/secrets/$name" params={{ name: s.name }} className={`mono ${classes.name}`} tabIndex={-1} onClick={(e) => e.stopPropagation()}>
          {s.name}
        </Link>
      ),
    },
    {
      id: 'provider',
      header: t('provider'),
      cell: (s) => (
        <span>
          {t(`provider_${providerOf(s)}`)}
          {s.reference ? <span className="mono dim">{` ${s.reference.replace(/^[a-z]+:/, '')}`}</span> : null}
        </span>
      ),
    },
    { id: 'version', header: t('version'), align: 'right', cell: (s) => (s.reference ? unknown : <span className="num">{t('v', { n: String(s.version) })}</span>) },
    { id: 'used', header: t('usedBy'), cell: (s) => (users(s).length ? <Names names={users(s).map((u) => u.name)} all="" /> : <span className="dim">{t('unused')}</span>) },
    { id: 'resolves', header: t('resolvesOn'), cell: (s) => <ResolvesOn of={resolves(s.name, nodes)} /> },
    { id: 'rotated', header: t('lastRotated'), align: 'right', sort: 'update_time', cell: (s) => <Rotated of={s} /> },
    { id: 'note', header: t('note'), hidden: true, cell: (s) => s.description || unknown },
    { id: 'created', header: shared('createdAt'), align: 'right', sort: 'create_time', hidden: true, cell: (s) => <When at={s.createTime} /> },
  ];
  return (
    <Page
      title={t('secrets')}
      wide
      beside={rows.length ? <span className="dim">{t('total', { n: rows.length })}</span> : null}
      copy={{
        cli: ['tollgate secret list', input.filter ? `--filter ${quote(input.filter)}` : '', input.orderBy ? `--sort ${input.orderBy}` : ''].filter(Boolean).join(' '),
        call: { method: SecretService.method.listSecrets, input },
        yaml: () => yamlOf('secret', 'secrets'),
      }}
      actions={
        mayWrite && !none ? (
          <Button leftSection={<IconPlus size={14} aria-hidden />} onClick={create}>
            {t('create')}
          </Button>
        ) : null
      }
    >
      {none ? (
        <div className="card">
          <Empty title={t('none')} icon={<IconLock size={32} />} cli="tollgate secret create bria-api-token" actions={mayWrite ? <Button onClick={create}>{t('create')}</Button> : null}>
            {t('noneText')}
          </Empty>
        </div>
      ) : (
        <>
          <div className={classes.tools}>
            <FilterInput value={search.q} width={360} label={t('filter')} placeholder={t('filterHint')} error={wrong} onChange={(q) => set({ q })} />
          </div>
          <div className="card">
            <Region query={wrong ? { ...query, error: null } : query}>
              {() =>
                rows.length ? (
                  <DataTable
                    id="secrets"
                    label={t('secrets')}
                    columns={columns}
                    rows={rows}
                    rowKey={(s) => s.id}
                    onOpen={open}
                    sort={search.sort ?? 'name'}
                    onSort={(s) => set({ sort: s === 'name' ? undefined : s })}
                    onEnd={query.hasNextPage && !query.isFetchingNextPage ? () => void query.fetchNextPage() : undefined}
                    rowActions={(s) =>
                      mayWrite ? (
                        <Menu>
                          <Menu.Target>
                            <ActionIcon size={24} aria-label={shared('actionsOf', { name: s.name })} onClick={(e) => e.stopPropagation()}>
                              <IconDots size={16} aria-hidden />
                            </ActionIcon>
                          </Menu.Target>
                          <Menu.Dropdown onClick={(e) => e.stopPropagation()}>
                            {s.reference ? null : (
                              <Menu.Item leftSection={<IconRefresh size={16} aria-hidden />} onClick={() => setDoing({ kind: 'rotate', of: s })}>
                                {t('doRotate')}
                              </Menu.Item>
                            )}
                            <Menu.Item color="red" leftSection={<IconTrash size={16} aria-hidden />} onClick={() => setDoing({ kind: 'delete', of: s })}>
                              {t('doDelete')}
                            </Menu.Item>
                          </Menu.Dropdown>
                        </Menu>
                      ) : null
                    }
                  />
                ) : (
                  <NoMatch filters={search.q?.trim().split(/\s+/).length ?? 0} onClear={() => set({ q: undefined })} />
                )
              }
            </Region>
          </div>
        </>
      )}
      {search.sel === 'new' && mayWrite ? <SecretForm onClose={() => set({ sel: undefined })} onDone={() => set({ sel: undefined })} /> : null}
      {doing?.kind === 'rotate' ? <RotateSecret of={doing.of} onClose={() => setDoing(undefined)} /> : null}
      {doing?.kind === 'delete' ? <DeleteSecret of={doing.of} onClose={() => setDoing(undefined)} /> : null}
    </Page>
  );
}
