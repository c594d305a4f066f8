import { useInfiniteQuery } from '@connectrpc/connect-query';
import { useMemo } from 'react';
import { UsageService } from '@/gen/tollgate/control/v1/usage_pb';
import { fromRecord, type Row } from './rows';
import { matchesText, type Selection, toRecords } from './selection';

const pageSize = 200;

/** The records that a selection and a range have, newest first, page by page. */
export function useRecords(selection: Selection, range: { from: number; to: number | undefined }, on: boolean) {
  const query = useInfiniteQuery(
    UsageService.method.listRequests,
    { filter: toRecords(selection, range), pageSize, pageToken: '' },
    { pageParamKey: 'pageToken', getNextPageParam: (last) => last.nextPageToken || undefined, enabled: on },
  );
  const rows = useMemo<Row[]>(
    () => (query.data?.pages ?? []).flatMap((p) => p.requests.map(fromRecord)).filter((r) => matchesText(r, selection.q)),
    [query.data, selection.q],
  );
  return { query, rows };
}
