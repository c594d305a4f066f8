// What of usage is shown, as it stands in the address, and as the services and the files are asked for it.

import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { basePath } from '@/boot';
import { type QueryUsageRequestSchema, UsageDimension, type UsageFilterSchema } from '@/gen/tollgate/control/v1/usage_pb';
import type { Range } from '@/lib/range';
import type { SearchOf } from '@/lib/search';
import type { Group, Metric } from '@/lib/usage';
import type { usageFilters } from '../search';

export type Filters = SearchOf<typeof usageFilters>;
export const fields = ['endpoint', 'key', 'team', 'customer', 'tag', 'model', 'edge', 'status'] as const;
export type Field = (typeof fields)[number];

export const groups: Group[] = ['endpoint', 'key', 'team', 'customer', 'tag', 'model', 'edge', 'status', 'none'];
export const metrics: Metric[] = ['spend', 'requests', 'errors', 'units'];
export const buckets = ['hour', 'day', 'week', 'month'] as const;
export type Bucket = (typeof buckets)[number];
export const kinds = ['bars', 'area', 'lines'] as const;

const hour = 3_600_000;
const day = 24 * hour;
/** Groups that a chart can tell apart; all others are one. */
export const topGroups = 8;
const mostGroups = 1000;

const dimension: Record<Exclude<Group, 'none'>, UsageDimension> = {
  endpoint: UsageDimension.ENDPOINT,
  key: UsageDimension.KEY,
  team: UsageDimension.TEAM,
  customer: UsageDimension.CUSTOMER,
  tag: UsageDimension.TAG,
  model: UsageDimension.MODEL,
  edge: UsageDimension.EDGE,
  status: UsageDimension.STATUS_CLASS,
};
const words: Record<Exclude<Group, 'none'>, string> = { endpoint: 'endpoint', key: 'key', team: 'team', customer: 'customer', tag: 'tag', model: 'model', edge: 'edge', status: 'status_class' };

export interface View {
  /** As in the address. */
  range: Range;
  from: number;
  to: number;
  group: Group;
  filters: Filters;
  timeZone: string;
}

/** Bars that are not too many and not too few. */
export const autoBucket = (from: number, to: number): Bucket => (to - from <= 3 * day ? 'hour' : to - from <= 92 * day ? 'day' : to - from <= 550 * day ? 'week' : 'month');

/** Values of a field, and whether they are left out. One that begins with "!" is. */
export function split(values: string[] | undefined): { is: string[]; not: string[] } {
  const is: string[] = [];
  const not: string[] = [];
  for (const v of values ?? []) (v.startsWith('!') ? not : is).push(v.replace(/^!/, ''));
  return { is, not };
}

// What stands in an address for requests that have none.
export const without = '-';
const valueOf = (v: string) => (v === without ? '' : v);

const status = /^[0-9](xx|[0-9]{2})$/;
export const valid = (field: Field, value: string) => field !== 'status' || status.test(value);

function filtersOf(f: Filters): MessageInitShape<typeof UsageFilterSchema>[] {
  const out: MessageInitShape<typeof UsageFilterSchema>[] = [];
  for (const field of fields) {
    const { is, not } = split(f[field]?.filter((v) => valid(field, v.replace(/^!/, ''))));
    const of = field === 'status' ? UsageDimension.STATUS : dimension[field];
    if (is.length) out.push({ of, values: is.map(valueOf) });
    // Usage is not kept by the absence of a tag.
    if (not.length && field !== 'tag') out.push({ of, values: not.map(valueOf), not: true });
  }
  return out;
}

export const countOf = (f: Filters) => fields.reduce((n, field) => n + (f[field]?.length ? 1 : 0), 0);

// A range that ends now has no end, so that the question stays the same while its answer grows.
const ends = (v: View) => v.range.to !== 'now';
const floor = (ms: number) => Math.floor(ms / hour) * hour;
const ceil = (ms: number) => Math.ceil(ms / hour) * hour;

/** The question: groups, with times if a bucket is given. */
export function toRequest(v: View, bucket: Bucket | undefined, options: { all?: boolean; compare?: boolean } = {}): MessageInitShape<typeof QueryUsageRequestSchema> {
  const groupBy = v.group === 'none' ? [] : [dimension[v.group]];
  if (bucket) groupBy.push(bucket === 'hour' ? UsageDimension.HOUR : UsageDimension.DAY);
  return {
    fromTime: timestampFromMs(floor(v.from)),
    ...(ends(v) ? { toTime: timestampFromMs(ceil(v.to)) } : {}),
    timeZone: v.timeZone,
    groupBy,
    topN: v.group === 'none' ? 0 : options.all ? mostGroups : topGroups,
    filters: filtersOf(v.filters),
    compare: options.compare ?? false,
  };
}

const iso = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`;
const quoted = (v: string) => (/[",\r\n]|^\s|\s$/.test(v) ? `"${v.replaceAll('"', '""')}"` : v);

/** The address of a file that says the same as the page. */
export function exportUrl(v: View, what: 'view' | 'days' | 'requests'): string {
  const q = new URLSearchParams();
  q.set('from', iso(floor(v.from)));
  if (ends(v)) q.set('to', iso(ceil(v.to)));
  if (what !== 'requests') {
    const by = [...(v.group === 'none' ? [] : [words[v.group]]), ...(what === 'days' ? ['day'] : [])];
    if (by.length) q.set('group_by', by.join(','));
    q.set('time_zone', v.timeZone);
  }
  for (const field of fields) {
    const { is, not } = split(v.filters[field]?.filter((x) => valid(field, x.replace(/^!/, ''))));
    if (is.length) q.append('filter', `${field}=${is.map(valueOf).map(quoted).join(',')}`);
    if (not.length && field !== 'tag') q.append('filter', `${field}!=${not.map(valueOf).map(quoted).join(',')}`);
  }
  return `${basePath}export/${what === 'requests' ? 'requests' : 'usage'}.csv?${q.toString()}`;
}

/** The command that shows the same, as near as it comes: it filters by one value of a field. */
export function cliOf(v: View, quote: (text: string) => string): string {
  const since = /^-(\d+[hd])$/.exec(v.range.from);
  const out = ['tollgate usage'];
  if (since && !ends(v)) out.push(`--since ${since[1]}`);
  else out.push(`--from ${iso(v.from).slice(0, 10)}`, `--to ${iso(v.to - 1).slice(0, 10)}`);
  out.push(v.group === 'none' ? '--group-by ""' : `--group-by ${words[v.group]}`);
  if (v.timeZone !== 'UTC') out.push(`--time-zone ${v.timeZone}`);
  for (const field of fields) {
    const { is } = split(v.filters[field]);
    if (field !== 'status' && field !== 'edge' && is[0] !== undefined) out.push(`--${field} ${quote(valueOf(is[0]))}`);
  }
  return out.join(' ');
}

/** Puts days together into weeks from Monday, or months, to draw them. */
export function fold(times: number[], values: number[][], bucket: Bucket, dayOf: (ms: number) => string): { times: number[]; values: number[][] } {
  if (bucket === 'hour' || bucket === 'day') return { times, values };
  const place = new Map<string, number>();
  const at: number[] = [];
  const into = times.map((ms) => {
    const d = dayOf(ms);
    const id = bucket === 'month' ? d.slice(0, 7) : monday(d);
    let i = place.get(id);
    if (i === undefined) {
      place.set(id, (i = at.length));
      at.push(ms);
    }
    return i;
  });
  return {
    times: at,
    values: values.map((row) => {
      const sums = new Array<number>(at.length).fill(0);
      row.forEach((v, i) => (sums[into[i]!]! += v));
      return sums;
    }),
  };
}

function monday(d: string): string {
  const ms = Date.parse(`${d}T00:00:00Z`);
  return new Date(ms - ((new Date(ms).getUTCDay() + 6) % 7) * day).toISOString().slice(0, 10);
}
