// What is told of an endpoint in a line: how it is, what it costs, where it goes.

import { type Endpoint, MatchKind } from '@/gen/tollgate/control/v1/endpoint_pb';
import type { Price } from '@/gen/tollgate/control/v1/price_pb';
import { nanos } from '@/lib/money';

/** What an endpoint did of late. */
export interface Recent {
  requests: number;
  /** Requests that the target answered with 5xx or not at all. */
  errors: number;
  /** Requests that ended in any way that is not charged, those refused by the target among them. */
  failed: number;
  cost: bigint;
  unpriced: number;
  /** Requests of each of the last 24 hours, oldest first. */
  hours: number[];
}

export type State = 'ok' | 'error' | 'unpriced' | 'disabled';

/** A share of errors from which an endpoint counts as failing, if there are a few of them. */
const failingShare = 0.05;
/** Callers make mistakes too: what targets refuse counts only where it is most of all requests. */
const refusedShare = 0.5;
const failingLeast = 3;

export function stateOf(e: Endpoint, recent: Recent | undefined): State {
  if (e.disabled) return 'disabled';
  const many = (n: number, share: number) => n >= failingLeast && n >= recent!.requests * share;
  if (recent && (many(recent.errors, failingShare) || many(recent.failed, refusedShare))) return 'error';
  return recent?.unpriced ? 'unpriced' : 'ok';
}

/** Whether nobody has said that it is free and it costs nothing. */
export function unpricedBy(price: Price | undefined): boolean {
  return !price?.kind.case || (price.kind.case === 'fixed' && nanos(price.kind.value.perRequest) === 0n);
}

/**
 * A filter as the server knows it, and the states that only the console knows because they come from usage: "status:error". A
 * minus before them asks for all others.
 */
export function splitFilter(q: string | undefined): { server: string; states: { is: State[]; not: boolean } | undefined } {
  const rest: string[] = [];
  let states: { is: State[]; not: boolean } | undefined;
  for (const word of q?.match(/(?:[^\s"]|"(?:\\.|[^"\\])*"?)+/g) ?? []) {
    const m = /^(-?)status:(.*)$/.exec(word);
    if (!m) {
      rest.push(word);
      continue;
    }
    states = { is: m[2]!.split(',').map((s) => names[s.toLowerCase()] ?? 'none') as State[], not: m[1] === '-' };
  }
  return { server: rest.join(' '), states };
}

const names: Record<string, State> = { ok: 'ok', active: 'ok', enabled: 'ok', error: 'error', errors: 'error', failing: 'error', unpriced: 'unpriced', disabled: 'disabled', off: 'disabled' };

const below = (inner: string, outer: string) => outer === '/' || inner.startsWith(`${outer.replace(/\/$/, '')}/`);
const shareMethod = (a: Endpoint, b: Endpoint) => !a.methods.length || !b.methods.length || a.methods.some((m) => b.methods.includes(m));

/** Endpoints that lie inside others that answer the same methods: the longer path takes its requests away from the shorter one. */
export function overlaps(endpoints: Endpoint[]): { inner: Endpoint; outer: Endpoint }[] {
  const wide = endpoints.filter((e) => e.match !== MatchKind.EXACT);
  return endpoints.flatMap((inner) => {
    const around = wide.filter((outer) => outer !== inner && below(inner.path, outer.path) && shareMethod(inner, outer));
    const nearest = around.reduce<Endpoint | undefined>((best, e) => (!best || e.path.length > best.path.length ? e : best), undefined);
    return nearest ? [{ inner, outer: nearest }] : [];
  });
}

/** A long text with its middle left out, so that beginning and end can be read. */
export function middle(text: string, most: number): string {
  if (text.length <= most) return text;
  const head = Math.ceil((most - 1) / 2);
  return `${text.slice(0, head)}…${text.slice(text.length - (most - 1 - head))}`;
}

/** A text as a shell takes it for one word. */
export const quote = (text: string) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);
