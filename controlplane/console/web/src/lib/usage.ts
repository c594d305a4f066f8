// Rows of usage as series over time, for charts. The server leaves times without requests out; they are put back here.

import type { QueryUsageResponse, UsageRow } from '@/gen/tollgate/control/v1/usage_pb';
import { drawn, nanos } from './money';

export type Group = 'endpoint' | 'key' | 'team' | 'customer' | 'tag' | 'model' | 'edge' | 'status' | 'none';
export type Metric = 'spend' | 'requests' | 'errors' | 'units';

/** What tells a group from the others in the same answer. */
export function groupId(row: UsageRow, by: Group): string {
  if (row.other) return '…other';
  switch (by) {
    case 'endpoint':
      return row.endpointId;
    case 'key':
      return row.keyId;
    case 'team':
      return row.team;
    case 'customer':
      return row.customer;
    case 'tag':
      return row.tag;
    case 'model':
      return row.model;
    case 'edge':
      return row.edge;
    case 'status':
      return row.statusClass;
    case 'none':
      return '';
  }
}

/** The name of a group; empty for requests that have none. */
export function groupName(row: UsageRow, by: Group): string {
  if (by === 'endpoint') return row.endpointName || row.endpointId;
  if (by === 'key') return row.keyName || row.keyId;
  return groupId(row, by);
}

/** A figure of a row as a number, to draw it. */
export function figure(row: UsageRow, metric: Metric): number {
  switch (metric) {
    case 'spend':
      return drawn(nanos(row.cost));
    case 'requests':
      return Number(row.requests);
    case 'errors':
      return Number(row.errors);
    case 'units':
      return Number(row.units);
  }
}

const hour = 3_600_000;

// Days are noon-safe: a day of a zone is stepped by its own length, which may be 23 or 25 hours.
function daysBetween(first: string, last: string): string[] {
  const out: string[] = [];
  for (let d = Date.parse(`${first}T00:00:00Z`); d <= Date.parse(`${last}T00:00:00Z`); d += 24 * hour) out.push(new Date(d).toISOString().slice(0, 10));
  return out;
}

/** The day of a moment in a zone, "2026-11-23". */
export function dayIn(ms: number, timeZone: string): string {
  return new Intl.DateTimeFormat('sv-SE', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' }).format(ms);
}

/** The first moment of a day in a zone. */
export function startOfDay(day: string, timeZone: string): number {
  const guess = Date.parse(`${day}T00:00:00Z`);
  // What the clock in the zone shows at the guess tells how far it is off; a second look settles days on which clocks change.
  let at = guess;
  for (let i = 0; i < 2; i++) {
    const shown = Date.parse(`${new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'medium' }).format(at).replace(' ', 'T')}Z`);
    at += guess - shown;
  }
  return at;
}

export interface UsageSeries {
  /** Beginnings of the times, in milliseconds. */
  times: number[];
  groups: { id: string; name: string; other: boolean; row: UsageRow; values: number[] }[];
}

/** Series of an answer that is grouped by day or hour beside `by`. Groups come as the server orders them. */
export function seriesOf(answer: QueryUsageResponse, by: Group, metric: Metric, range: { from: number; to: number }, bucket: 'day' | 'hour', timeZone: string): UsageSeries {
  const keys: string[] =
    bucket === 'day'
      ? daysBetween(dayIn(range.from, timeZone), dayIn(Math.max(range.to - 1, range.from), timeZone))
      : Array.from({ length: Math.max(1, Math.ceil(range.to / hour) - Math.floor(range.from / hour)) }, (_, i) =>
          new Date((Math.floor(range.from / hour) + i) * hour).toISOString().slice(0, 13),
        );
  const place = new Map(keys.map((k, i) => [k, i]));
  const groups = new Map<string, UsageSeries['groups'][number]>();
  const add = (row: UsageRow) => {
    const id = groupId(row, by);
    let g = groups.get(id);
    if (!g) groups.set(id, (g = { id, name: groupName(row, by), other: row.other, row, values: new Array<number>(keys.length).fill(0) }));
    return g;
  };
  for (const row of answer.groups) add(row);
  for (const row of answer.rows) {
    const at = place.get(bucket === 'day' ? row.day : row.hour);
    if (at !== undefined) add(row).values[at]! += figure(row, metric);
  }
  return {
    times: keys.map((k) => (bucket === 'day' ? startOfDay(k, timeZone) : Date.parse(`${k}:00:00Z`))),
    groups: [...groups.values()],
  };
}
