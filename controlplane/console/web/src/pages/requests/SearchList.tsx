import { Button } from '@mantine/core';
import { useEffect } from 'react';
import { Empty, NoMatch, Region } from '@/components/Region';
import { AsOf } from '@/components/When';
import { t } from '@/text/requests';
import classes from './Filter.module.css';
import { Histogram } from './Histogram';
import { RequestTable } from './RequestTable';
import type { Row } from './rows';
import { countOf, type Selection } from './selection';
import type { Item } from './tail';
import { useRecords } from './useRecords';

/** Requests of a range from the ledger's records, newest first. */
export function SearchList({
  selection,
  range,
  sel,
  open,
  clear,
  onItems,
  onZoom,
  height,
  chart = true,
}: {
  selection: Selection;
  range: { from: number; to: number | undefined; end: number };
  sel: string | undefined;
  open: (row: Row) => void;
  clear: () => void;
  onItems?: (items: Item[]) => void;
  onZoom?: (from: number, to: number) => void;
  height?: number;
  chart?: boolean;
}) {
  const { query, rows } = useRecords(selection, range, true);
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = query;
  useEffect(() => onItems?.(rows), [onItems, rows]);
  // A page may have nothing that the text is in, or nothing at all: there may be more behind it.
  const poor = rows.length < 30 && hasNextPage && !isFetchingNextPage;
  useEffect(() => {
    if (poor) void fetchNextPage();
  }, [poor, fetchNextPage]);
  const oldest = rows.at(-1);
  const from = hasNextPage && oldest ? Math.max(range.from, oldest.time) : range.from;
  return (
    <div className={`card ${classes.list}`}>
      <Region query={query} skeleton={10}>
        {() =>
          rows.length ? (
            <>
              {chart ? (
                <div className={classes.chart}>
                  <Histogram items={rows} from={from} to={range.end} {...(onZoom ? { onZoom } : {})} />
                </div>
              ) : null}
              <RequestTable
                items={rows}
                open={sel}
                onOpen={open}
                onEnd={hasNextPage && !isFetchingNextPage ? () => void fetchNextPage() : undefined}
                label={t('search')}
                days
                {...(height ? { height: Math.min(height, rows.length * 28 + 34) } : {})}
              />
            </>
          ) : query.isFetching ? null : countOf(selection) ? (
            <NoMatch filters={countOf(selection)} onClear={clear} />
          ) : (
            <Empty title={t('emptySearch')}>{t('emptySearchWhy')}</Empty>
          )
        }
      </Region>
      <div className={classes.foot}>
        <span>
          {selection.q && !selection.q.startsWith('req_') ? t('pathNote') : t('searchNote')} {t('refusedNote')}
        </span>
        <span>
          {hasNextPage ? (
            <Button size="compact-xs" variant="subtle" loading={isFetchingNextPage} onClick={() => void fetchNextPage()}>
              {t('more')}
            </Button>
          ) : null}{' '}
          <AsOf at={query.dataUpdatedAt || undefined} />
        </span>
      </div>
    </div>
  );
}
