import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { ActionIcon, Drawer, Group, NativeSelect, Pill, Tooltip } from '@mantine/core';
import { useInfiniteQuery } from '@connectrpc/connect-query';
import { IconChevronDown, IconChevronUp, IconExternalLink } from '@tabler/icons-react';
import { getRouteApi, Link } from '@tanstack/react-router';
import { useCallback, useMemo, useState } from 'react';
import { refresh } from '@/api/client';
import { problemOf } from '@/api/errors';
import { useKeys } from '@/app/keys';
import { type Column, DataTable } from '@/components/DataTable';
import { FilterInput } from '@/components/FilterInput';
import { Page } from '@/components/Page';
import { RangePicker } from '@/components/RangePicker';
import { Empty, NoMatch, Region } from '@/components/Region';
import { AsOf, When } from '@/components/When';
import { type AuditEntry, AuditService } from '@/gen/tollgate/control/v1/audit_pb';
import { resolve, shift } from '@/lib/range';
import { quote } from '@/pages/access/keys/facts';
import { t } from '@/text/audit';
import { t as shell } from '@/text/shell';
import classes from './Audit.module.css';
import { AuditDetail } from './AuditDetail';
import { ExportButton } from './ExportButton';
import { filterOf, kindOptions, plain, viaText, wayOptions } from './facts';

const route = getRouteApi('/audit');
const usual = { from: '-30d', to: 'now' };

const columns: Column<AuditEntry>[] = [
  { id: 'time', header: t('time'), width: 110, cell: (e) => <When at={e.time} /> },
  { id: 'actor', header: t('actor'), fixed: true, cell: (e) => e.actor },
  { id: 'via', header: t('via'), width: 100, cell: (e) => <span className="dim">{viaText(e.via)}</span> },
  { id: 'action', header: t('action'), width: 110, cell: (e) => plain(e.action) },
  {
    id: 'resource', header: t('kind'), fixed: true,
    cell: (e) => (
      <>
        <span className="dim">{plain(e.kind)}</span> <span className={classes.name}>{e.objectName || e.objectId}</span>
      </>
    ),
  },
  { id: 'summary', header: t('summary'), width: '2fr', cell: (e) => <span className="mono">{e.summary}</span> },
  { id: 'from', header: t('from'), cell: (e) => <span className="mono dim">{e.address}</span> },
];

/** Who changed what, newest first, with a way back. */
export function AuditPage() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const [asked, setAsked] = useState(() => Date.now());
  const shown = { from: search.from ?? usual.from, to: search.to ?? usual.to };
  const range = useMemo(() => resolve(shown, asked, usual), [shown.from, shown.to, asked]); // eslint-disable-line react-hooks/exhaustive-deps
  const filter = filterOf(search);
  const input = useMemo(
    () => ({ pageSize: 100, pageToken: '', filter, fromTime: timestampFromMs(range.from), ...(shown.to === 'now' ? {} : { toTime: timestampFromMs(range.to) }) }),
    [filter, range, shown.to],
  );
  const query = useInfiniteQuery(AuditService.method.listAuditEntries, input, { pageParamKey: 'pageToken', getNextPageParam: (last) => last.nextPageToken || undefined, placeholderData: (before) => before });
  const rows = useMemo(() => query.data?.pages.flatMap((p) => p.entries) ?? [], [query.data]);
  const change = useCallback((more: Partial<typeof search>) => void navigate({ search: (s) => ({ ...s, ...more }), replace: true }), [navigate]);
  const setFilter = useCallback((q: string | undefined) => change({ q }), [change]);
  const setRange = (r: { from: string; to: string }) => change({ from: r.from, to: r.to });
  const open = (e: AuditEntry) => void navigate({ search: (s) => ({ ...s, sel: e.id }), replace: !!search.sel });
  const close = () => void navigate({ search: (s) => ({ ...s, sel: undefined }) });
  const step = (by: number) => {
    const next = rows[rows.findIndex((e) => e.id === search.sel) + by];
    if (next) open(next);
  };
  useKeys({
    '[': () => setRange(shift(range, -1)),
    ']': () => setRange(shift(range, 1)),
    r: () => {
      setAsked(Date.now());
      void refresh(AuditService);
    },
  });
  const filters = [search.q, search.kind, search.via, search.actor, search.object].filter(Boolean).length;
  const problem = query.error ? problemOf(query.error) : undefined;
  const wrongFilter = problem?.violations.find((v) => v.field === 'filter')?.text;
  const flags = [filter ? ` --filter ${quote(filter)}` : '', shown.to === 'now' && /^-\d+[mhd]$/.test(shown.from) ? ` --since ${shown.from.slice(1)}` : ` --from ${new Date(range.from).toISOString().slice(0, 19)}Z`].join('');
  return (
    <Page title={shell('audit')} wide actions={<ExportButton input={input} />} copy={{ cli: `tollgate audit list${flags}`, call: { method: AuditService.method.listAuditEntries, input } }}>
      <div className={classes.bar}>
        <FilterInput value={search.q} onChange={setFilter} placeholder={t('filterText')} error={wrongFilter} width={260} />
        <NativeSelect
          size="xs"
          aria-label={t('kind')}
          value={search.kind ?? ''}
          data={[{ value: '', label: t('anyKind') }, ...kindOptions.map((k) => ({ value: k, label: plain(k) })), ...(search.kind && !kindOptions.some((k) => k === search.kind) ? [search.kind] : [])]}
          onChange={(e) => change({ kind: e.currentTarget.value || undefined })}
        />
        <NativeSelect size="xs" aria-label={t('via')} value={search.via ?? ''} data={[{ value: '', label: t('anyVia') }, ...wayOptions]} onChange={(e) => change({ via: e.currentTarget.value || undefined })} />
        {search.actor ? (
          <Pill size="md" withRemoveButton removeButtonProps={{ 'aria-label': t('clearActor'), 'aria-hidden': false, tabIndex: 0 }} onRemove={() => change({ actor: undefined })}>
            {t('actorChip', { actor: search.actor })}
          </Pill>
        ) : null}
        {search.object ? (
          <Pill size="md" withRemoveButton removeButtonProps={{ 'aria-label': t('clearObject'), 'aria-hidden': false, tabIndex: 0 }} onRemove={() => change({ object: undefined })}>
            {t('objectChip', { object: rows.find((e) => e.objectId === search.object)?.objectName || search.object })}
          </Pill>
        ) : null}
        <Group gap={8} className={classes.end}>
          <AsOf at={query.dataUpdatedAt || undefined} />
          <RangePicker value={shown} onChange={setRange} />
        </Group>
      </div>
      <section className="card">
        {wrongFilter && !query.data ? null : (
          <Region query={wrongFilter ? { ...query, error: null } : query} skeleton={10}>
            {() =>
              rows.length ? (
                <DataTable id="audit" label={t('entries')} columns={columns} rows={rows} rowKey={(e) => e.id} onOpen={open} open={search.sel} onEnd={query.hasNextPage && !query.isFetchingNextPage ? () => void query.fetchNextPage() : undefined} />
              ) : filters ? (
                <NoMatch filters={filters} onClear={() => void navigate({ search: (s) => ({ from: s.from, to: s.to }) })} />
              ) : (
                <Empty title={t('none')}>{t('noneText')}</Empty>
              )
            }
          </Region>
        )}
      </section>
      <Drawer
        opened={!!search.sel}
        onClose={close}
        size="min(640px, 100vw)"
        title={
          <Group gap={4}>
            <span style={{ fontWeight: 600 }}>{t('entry')}</span>
            <Tooltip label={t('previous')}>
              <ActionIcon aria-label={t('previous')} onClick={() => step(-1)}>
                <IconChevronUp size={16} aria-hidden />
              </ActionIcon>
            </Tooltip>
            <Tooltip label={t('next')}>
              <ActionIcon aria-label={t('next')} onClick={() => step(1)}>
                <IconChevronDown size={16} aria-hidden />
              </ActionIcon>
            </Tooltip>
            <Tooltip label={t('openPage')}>
              <ActionIcon aria-label={t('openPage')} component={Link} to={`/audit/${search.sel ?? ''}`}>
                <IconExternalLink size={15} aria-hidden />
              </ActionIcon>
            </Tooltip>
          </Group>
        }
        closeButtonProps={{ 'aria-label': shell('close') }}
      >
        {search.sel ? <AuditDetail key={search.sel} id={search.sel} /> : null}
      </Drawer>
    </Page>
  );
}
