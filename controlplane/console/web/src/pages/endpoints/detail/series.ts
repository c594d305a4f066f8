// Rows of usage as series for charts. The ledger leaves times without requests out; they are put back as zeros.

import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { type QueryUsageRequest, QueryUsageRequestSchema, UsageDimension, type UsageRow } from '@/gen/tollgate/control/v1/usage_pb';
import { drawn, nanos } from '@/lib/money';

export type Bucket = 'hour' | 'day';
const hour = 3_600_000;
const day = 24 * hour;
/** Ranges up to this long are drawn by the hour. */
const hoursUpTo = 3 * day;

export const bucketOf = (range: { from: number; to: number }): Bucket => (range.to - range.from <= hoursUpTo ? 'hour' : 'day');

/** The question for one endpoint over a range, in whole hours. */
export function ask(endpoint: string, range: { from: number; to: number }, timeZone: string, groupBy: UsageDimension[], more: Partial<QueryUsageRequest> = {}): QueryUsageRequest {
  return create(QueryUsageRequestSchema, {
    endpoint,
    fromTime: timestampFromMs(Math.floor(range.from / hour) * hour),
    // Until the hour that runs there is nothing to cut off: the question then stays the same while the answer grows.
    ...(range.to >= Date.now() - hour ? {} : { toTime: timestampFromMs(Math.ceil(range.to / hour) * hour) }),
    timeZone,
    groupBy,
    ...(more as object),
  });
}

/** The times of a chart, and by what rows say which of them they are of. */
export function timesOf(range: { from: number; to: number }, bucket: Bucket, timeZone: string): { times: number[]; place: (row: UsageRow) => number } {
  const times: number[] = [];
  const places = new Map<string, number>();
  if (bucket === 'hour') {
    for (let at = Math.floor(range.from / hour) * hour; at < range.to; at += hour) {
      places.set(new Date(at).toISOString().slice(0, 13), times.length);
      times.push(at);
    }
    return { times, place: (row) => places.get(row.hour) ?? -1 };
  }
  const name = new Intl.DateTimeFormat('en', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' });
  for (let at = Math.floor(range.from / hour) * hour; at < range.to; at += hour) {
    const p = Object.fromEntries(name.formatToParts(at).map((x) => [x.type, x.value]));
    const id = `${p.year}-${p.month}-${p.day}`;
    if (places.has(id)) continue;
    places.set(id, times.length);
    times.push(at);
  }
  return { times, place: (row) => places.get(row.day) ?? -1 };
}

export const classes = ['2xx', '3xx', '4xx', '5xx', '0xx'] as const;
export type StatusClass = (typeof classes)[number];

/** Requests of each class of status; classes without any are left out. */
export function byStatus(rows: UsageRow[], times: number[], place: (row: UsageRow) => number): { id: StatusClass; values: number[] }[] {
  return classes.flatMap((id) => {
    const values = new Array<number>(times.length).fill(0);
    let any = false;
    for (const row of rows) {
      const at = place(row);
      if (row.statusClass !== id || at < 0) continue;
      values[at]! += Number(row.requests);
      any = true;
    }
    return any ? [{ id, values }] : [];
  });
}

/** What was spent at each time, in dollars to be drawn. Sums are made of exact amounts. */
export function spent(rows: UsageRow[], times: number[], place: (row: UsageRow) => number): number[] {
  const sums = new Array<bigint>(times.length).fill(0n);
  for (const row of rows) {
    const at = place(row);
    if (at >= 0) sums[at]! += nanos(row.cost);
  }
  return sums.map(drawn);
}
