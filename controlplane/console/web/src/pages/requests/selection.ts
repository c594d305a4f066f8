// Which requests are shown, as it stands in the address, and as the services are asked for it.

import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { SeenFilterSchema } from '@/gen/tollgate/control/v1/request_pb';
import { type RequestFilterSchema, UsageDimension } from '@/gen/tollgate/control/v1/usage_pb';
import { money, parse } from '@/lib/money';
import type { SearchOf } from '@/lib/search';
import type { Row } from './rows';
import type { selection } from './search';

export type Selection = SearchOf<typeof selection>;
export const fields = ['endpoint', 'key', 'team', 'status', 'method', 'edge'] as const;
export type Field = (typeof fields)[number];

type SeenFilter = MessageInitShape<typeof SeenFilterSchema>;
type RecordFilter = MessageInitShape<typeof RequestFilterSchema>;

/** Takes the values of a field apart: those that are wanted, and those that are not. */
export function split(values: string[] | undefined): { is: string[]; not: string[] } {
  const is: string[] = [];
  const not: string[] = [];
  for (const v of values ?? []) (v.startsWith('!') ? not : is).push(v.replace(/^!/, ''));
  return { is, not };
}

/** Milliseconds of "500ms", "2s" or "1.5"; seconds are meant where nothing is said. */
export function readSpan(text: string | undefined): number | undefined {
  const m = /^(\d+(?:\.\d+)?)\s*(ms|s|m)?$/.exec((text ?? '').trim());
  return m ? Number(m[1]) * { ms: 1, s: 1000, m: 60_000 }[(m[2] ?? 's') as 'ms' | 's' | 'm'] : undefined;
}

const duration = (ms: number) => ({ seconds: BigInt(Math.floor(ms / 1000)), nanos: Math.round((ms % 1000) * 1e6) });
const amount = (text: string | undefined) => {
  const p = text === undefined ? undefined : parse(text);
  return p?.ok ? p.nanos : undefined;
};

const seenField = { endpoint: 'endpoints', key: 'keys', team: 'teams', status: 'statuses', method: 'methods', edge: 'edges' } as const;
const statusForm = /^[0-9](xx|[0-9][0-9])$/;
const valid = (field: Field, value: string) => field !== 'status' || statusForm.test(value);

/** For the live list: what is wanted, and what is left out. */
export function toSeen(s: Selection): { filter: SeenFilter; except: SeenFilter[] } {
  const filter: SeenFilter = {};
  const except: SeenFilter[] = [];
  for (const field of fields) {
    const { is, not } = split(s[field]?.filter((v) => valid(field, v.replace(/^!/, ''))));
    if (is.length) filter[seenField[field]] = is;
    if (not.length) except.push({ [seenField[field]]: not });
  }
  if (s.q) filter.text = s.q;
  const cost = amount(s.cost);
  if (cost !== undefined) filter.minCost = money(cost);
  const slow = readSpan(s.slow);
  if (slow !== undefined) filter.minTime = duration(slow);
  return { filter, except };
}

const dimension: Partial<Record<Field, UsageDimension>> = {
  endpoint: UsageDimension.ENDPOINT,
  key: UsageDimension.KEY,
  team: UsageDimension.TEAM,
  status: UsageDimension.STATUS,
  edge: UsageDimension.EDGE,
};

/** For the records. They have no methods and paths, so these are not selected by. */
export function toRecords(s: Selection, range: { from: number; to: number | undefined }): RecordFilter {
  const filter: RecordFilter = { fromTime: timestampFromMs(range.from), filters: [] };
  if (range.to !== undefined) filter.toTime = timestampFromMs(range.to);
  for (const field of fields) {
    const of = dimension[field];
    if (!of) continue;
    const { is, not } = split(s[field]?.filter((v) => valid(field, v.replace(/^!/, ''))));
    if (is.length) filter.filters!.push({ of, values: is });
    if (not.length) filter.filters!.push({ of, values: not, not: true });
  }
  const cost = amount(s.cost);
  if (cost !== undefined) filter.minCost = money(cost);
  const slow = readSpan(s.slow);
  if (slow !== undefined) filter.minTime = duration(slow);
  if (s.q?.startsWith('req_')) filter.requestId = s.q;
  return filter;
}

/** What of a selection records cannot be asked for, and is looked for in the rows that are there. */
export function matchesText(row: Row, q: string | undefined): boolean {
  if (!q || q.startsWith('req_')) return true;
  const text = q.toLowerCase();
  return [row.id, row.path, row.endpoint, row.keyName, row.team, row.edge, row.code].some((t) => t.toLowerCase().includes(text));
}

const term = /(?:^|\s)(!?)([a-z]+):(\S+)/g;

/** Takes what is written as `field:value` out of the text, so that it selects as the chips do. "!" before it leaves out. */
export function lifted(s: Selection): Selection {
  if (!s.q?.includes(':')) return s;
  const out: Selection = { ...s };
  const rest = s.q.replace(term, (all, not: string, name: string, text: string) => {
    if (!not && (name === 'cost' || name === 'slow')) {
      out[name] = text;
      return ' ';
    }
    const field = fields.find((f) => f === name);
    if (!field) return all;
    const values = text.split(',').filter(Boolean).map((v) => not + v);
    out[field] = [...new Set([...(out[field] ?? []), ...values])];
    return ' ';
  });
  out.q = rest.replace(/\s+/g, ' ').trim() || undefined;
  return out;
}

/** How many filters are set. */
export const countOf = (s: Selection) =>
  fields.reduce((n, f) => n + (s[f]?.length ? 1 : 0), 0) + [s.q, s.cost, s.slow].filter(Boolean).length;

/** The words for the command line. */
export function flagsOf(s: Selection): string {
  const out: string[] = [];
  for (const field of fields) {
    const { is } = split(s[field]);
    if (is.length && field !== 'edge') out.push(`--${field} ${is.join(',')}`);
  }
  return out.map((o) => ` ${o}`).join('');
}
