import { useInfiniteQuery } from '@connectrpc/connect-query';
import { keepPreviousData } from '@tanstack/react-query';
import { type ReactNode, useMemo, useState } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { problemOf, violationsOf } from '@/api/errors';
import { DataTable } from '@/components/DataTable';
import { FilterInput } from '@/components/FilterInput';
import { NoMatch, Region } from '@/components/Region';
import { AsOf } from '@/components/When';
import { type Key, KeyService, KeyStatus } from '@/gen/tollgate/control/v1/key_pb';
import { nanos } from '@/lib/money';
import { t } from '@/text/access';
import classes from '../Access.module.css';
import { type Figures, useBudgets, useFigures } from '../useFigures';
import { BulkBar } from './BulkBar';
import { columnsOf } from './columns';
import { Doings } from './Doings';
import { type Purse, tightest } from './facts';
import { type Doing, RowMenu } from './RowMenu';

const pageSize = 500;
const locally = ['spend', 'requests', 'used'];

/** Everything that a list of keys asks. */
export function useKeyList(filter: string, sort: string | undefined, enabled = true) {
  const way = sort?.replace(/^-/, '') ?? '';
  const input = { filter, orderBy: locally.includes(way) ? '' : (sort ?? ''), pageSize };
  const query = useInfiniteQuery(
    KeyService.method.listKeys,
    { ...input, pageToken: '' },
    { pageParamKey: 'pageToken', getNextPageParam: (last) => last.nextPageToken || undefined, placeholderData: keepPreviousData, enabled },
  );
  const all = useMemo(() => query.data?.pages.flatMap((p) => p.keys) ?? [], [query.data]);
  return { input, query, all };
}

// What the server does not order by is ordered here, where all rows are here.
function ordered(rows: Key[], sort: string | undefined, figures: Figures, budgets: Map<string, Purse[]> | undefined): Key[] {
  const way = sort?.replace(/^-/, '') ?? '';
  if (!locally.includes(way)) return rows;
  const value = (k: Key): bigint => {
    const used = figures.of(k.id);
    if (way === 'requests') return used?.requests ?? -1n;
    if (way === 'used') return BigInt(used?.last ?? -1);
    const state = tightest(budgets?.get(k.name) ?? [])?.state;
    return state ? nanos(state.spent) : (used?.spend ?? -1n);
  };
  const up = sort?.startsWith('-') ? -1 : 1;
  return rows
    .map((k) => ({ k, v: value(k) }))
    .toSorted((a, b) => (a.v < b.v ? -up : a.v > b.v ? up : 0))
    .map(({ k }) => k);
}

/** Keys that pass a filter, with what they used and what can be done to them. */
export function KeyTable({
  list,
  q,
  sort,
  onSearch,
  onOpen,
  without,
  tools,
}: {
  list: ReturnType<typeof useKeyList>;
  q: string | undefined;
  sort: string | undefined;
  onSearch: (change: { q?: string | undefined; sort?: string | undefined }) => void;
  onOpen: (k: Key) => void;
  /** Columns that say nothing here. */
  without?: string[];
  tools?: ReactNode;
}) {
  const { query, all } = list;
  const { may } = useCaller();
  const figures = useFigures('key');
  const budgets = useBudgets('key');
  const [selected, setSelected] = useState(new Set<string>());
  const [doing, setDoing] = useState<Doing>();
  const complete = query.data !== undefined && !query.hasNextPage;
  const money = may(Permission.MONEY_READ);
  const columns = useMemo(() => columnsOf(figures, budgets, money, complete, without), [figures, budgets, money, complete, without]);
  const rows = useMemo(() => (complete ? ordered(all, sort, figures, budgets) : all), [complete, all, sort, figures, budgets]);
  const wrong = query.error ? violationsOf(problemOf(query.error), 'filter')[0]?.text : undefined;
  const chosen = rows.filter((k) => selected.has(k.id));
  return (
    <>
      <div className={classes.tools}>
        {tools}
        <FilterInput value={q} width={420} label={t('filterKeys')} placeholder={t('filterKeysHint')} error={wrong} onChange={(text) => onSearch({ q: text })} />
        <span className={classes.asOf}>{figures.error ? <span className="warn">{t('usageFailed', { message: problemOf(figures.error).message })}</span> : <AsOf at={figures.asOf} />}</span>
      </div>
      <BulkBar keys={chosen} figures={figures} begin={setDoing} onClear={() => setSelected(new Set())} />
      <div className="card">
        <Region query={wrong ? { ...query, error: null } : query} skeleton={8}>
          {() =>
            rows.length === 0 ? (
              <NoMatch filters={q?.trim().split(/\s+/).length ?? 0} onClear={() => onSearch({ q: undefined })} />
            ) : (
              <DataTable
                id="keys"
                label={t('keys')}
                columns={columns}
                rows={rows}
                rowKey={(k) => k.id}
                onOpen={onOpen}
                sort={sort ?? 'name'}
                onSort={(s) => onSearch({ sort: s === 'name' ? undefined : s })}
                selected={selected}
                onSelect={setSelected}
                tone={(k) => (k.status === KeyStatus.REVOKED || k.status === KeyStatus.EXPIRED ? 'dim' : undefined)}
                rowActions={(k) => <RowMenu of={k} begin={setDoing} />}
                onEnd={query.hasNextPage && !query.isFetchingNextPage ? () => void query.fetchNextPage() : undefined}
              />
            )
          }
        </Region>
      </div>
      <Doings doing={doing} figures={figures} onClose={() => setDoing(undefined)} onDone={() => setSelected(new Set())} />
    </>
  );
}
