import { ActionIcon, Drawer, Group, SegmentedControl, Tooltip } from '@mantine/core';
import { IconChevronDown, IconChevronUp, IconExternalLink } from '@tabler/icons-react';
import { getRouteApi, Link } from '@tanstack/react-router';
import { useCallback, useMemo, useRef, useState } from 'react';
import { refresh } from '@/api/client';
import { useKeys } from '@/app/keys';
import { FilterInput } from '@/components/FilterInput';
import { Page } from '@/components/Page';
import { RangePicker } from '@/components/RangePicker';
import { RequestService } from '@/gen/tollgate/control/v1/request_pb';
import { UsageService } from '@/gen/tollgate/control/v1/usage_pb';
import { resolve, shift } from '@/lib/range';
import { t } from '@/text/requests';
import { t as shell } from '@/text/shell';
import classes from './Filter.module.css';
import { FilterChips } from './FilterChips';
import { LiveList } from './LiveList';
import { RequestDetail } from './RequestDetail';
import type { Row } from './rows';
import { SearchList } from './SearchList';
import { selection as shape } from './search';
import { flagsOf, lifted, type Selection, toRecords, toSeen } from './selection';
import { isMark, type Item } from './tail';

const route = getRouteApi('/requests');
const usual = { from: '-24h', to: 'now' };
const names = Object.keys(shape) as (keyof Selection)[];

/** Requests as they happen, and those that have been: one list, one set of filters, one drawer. */
export function RequestsPage() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const live = search.live ?? false;
  const selectionKey = JSON.stringify(names.map((n) => search[n]));
  const asked = useMemo<Selection>(() => Object.fromEntries(names.map((n) => [n, search[n]])), [selectionKey]); // eslint-disable-line react-hooks/exhaustive-deps
  // What is written as `field:value` selects while it is written, and becomes a chip with Enter.
  const selection = useMemo(() => lifted(asked), [asked]);
  const change = useCallback((more: Partial<Selection>) => void navigate({ search: (s) => ({ ...s, ...more }), replace: true }), [navigate]);
  const lift = (q: string) => {
    const next = lifted({ ...asked, q: q || undefined });
    change(next);
    return next.q ?? '';
  };
  const clear = useCallback(() => void navigate({ search: (s) => ({ live: s.live, all: s.all, from: s.from, to: s.to }) }), [navigate]);

  const [at, setAt] = useState(() => Date.now());
  const shown = { from: search.from ?? usual.from, to: search.to ?? usual.to };
  const range = useMemo(() => {
    const r = resolve(shown, at, usual);
    return { from: r.from, to: shown.to === 'now' ? undefined : r.to, end: r.to };
  }, [shown.from, shown.to, at]); // eslint-disable-line react-hooks/exhaustive-deps
  const setRange = (from: string, to: string) => void navigate({ search: (s) => ({ ...s, live: undefined, from, to, sel: undefined }) });
  const zoom = useCallback(
    (from: number, to: number) => {
      const iso = (ms: number) => new Date(ms).toISOString().slice(0, 19) + 'Z';
      void navigate({ search: (s) => ({ ...s, live: undefined, sel: undefined, from: iso(from), to: iso(to + 999) }) });
    },
    [navigate],
  );

  const items = useRef<Item[]>([]);
  const keep = useCallback((all: Item[]) => {
    items.current = all;
  }, []);
  const open = useCallback((row: Row) => void navigate({ search: (s) => ({ ...s, sel: row.id }), replace: !!search.sel }), [navigate, search.sel]);
  const close = useCallback(() => void navigate({ search: (s) => ({ ...s, sel: undefined, tab: undefined }) }), [navigate]);
  const step = (by: number) => {
    const rows = items.current.filter((i): i is Row => !isMark(i));
    const at = rows.findIndex((r) => r.id === search.sel);
    let next = at + by;
    while (rows[next] && rows[next]!.id === search.sel) next += by; // another attempt of the same request
    if (rows[next]) open(rows[next]!);
  };
  const toMode = (mode: 'live' | 'search') => {
    setAt(Date.now());
    void navigate({ search: (s) => ({ ...s, live: mode === 'live' || undefined, sel: undefined }) });
  };
  useKeys({
    ...(live ? {} : { l: () => toMode('live') }),
    '[': () => setRange(...pair(shift({ from: range.from, to: range.end }, -1))),
    ']': () => setRange(...pair(shift({ from: range.from, to: range.end }, 1))),
    r: () => {
      setAt(Date.now());
      void refresh(UsageService, RequestService);
    },
  });
  const { filter, except } = toSeen(selection);
  return (
    <Page
      title={shell('requests')}
      wide
      actions={
        <SegmentedControl
          aria-label={t('mode')}
          value={live ? 'live' : 'search'}
          onChange={(v) => toMode(v as 'live' | 'search')}
          data={[
            { value: 'live', label: t('live') },
            { value: 'search', label: t('search') },
          ]}
        />
      }
      copy={
        live
          ? { cli: `tollgate tail${flagsOf(selection)}`, call: { method: RequestService.method.tailRequests, input: { filter, except } } }
          : { cli: `tollgate request list${flagsOf(selection)}`, call: { method: UsageService.method.listRequests, input: { filter: toRecords(selection, range) } } }
      }
    >
      <div className={classes.bar}>
        <FilterInput value={search.q} onChange={(q) => change({ q })} onEnter={lift} placeholder={t('filterText')} width={240} />
        <FilterChips selection={asked} change={change} />
        {live ? null : <div style={{ marginLeft: 'auto' }}><RangePicker value={shown} onChange={(r) => setRange(r.from, r.to)} /></div>}
      </div>
      {live ? (
        <LiveList
          selection={selection}
          all={search.all ?? false}
          setAll={(all) => void navigate({ search: (s) => ({ ...s, all: all || undefined }), replace: true })}
          sel={search.sel}
          open={open}
          close={close}
          clear={clear}
          onItems={keep}
          onZoom={zoom}
        />
      ) : (
        <SearchList selection={selection} range={range} sel={search.sel} open={open} clear={clear} onItems={keep} onZoom={zoom} />
      )}
      <Drawer
        opened={!!search.sel}
        onClose={close}
        size="min(680px, 100vw)"
        title={
          <Group gap={4}>
            <span className="mono">{search.sel}</span>
            <Tooltip label={t('previousRow')}>
              <ActionIcon aria-label={t('previousRow')} onClick={() => step(-1)}>
                <IconChevronUp size={16} aria-hidden />
              </ActionIcon>
            </Tooltip>
            <Tooltip label={t('nextRow')}>
              <ActionIcon aria-label={t('nextRow')} onClick={() => step(1)}>
                <IconChevronDown size={16} aria-hidden />
              </ActionIcon>
            </Tooltip>
            <Tooltip label={t('openPage')}>
              <ActionIcon aria-label={t('openPage')} component={Link} to={`/requests/${search.sel ?? ''}`}>
                <IconExternalLink size={15} aria-hidden />
              </ActionIcon>
            </Tooltip>
          </Group>
        }
        closeButtonProps={{ 'aria-label': t('close') }}
        onKeyDown={(e) => {
          const target = e.target as HTMLElement;
          if (target.closest('input,textarea,[role=combobox],[role=listbox],[role=menu]')) return;
          if (e.key === 'ArrowDown' || e.key === 'j') step(1);
          else if (e.key === 'ArrowUp' || e.key === 'k') step(-1);
          else return;
          e.preventDefault();
        }}
      >
        {search.sel ? <RequestDetail key={search.sel} id={search.sel} /> : null}
      </Drawer>
    </Page>
  );
}

const pair = (r: { from: string; to: string }): [string, string] => [r.from, r.to];
