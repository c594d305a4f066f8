// One row for what edges have seen of a request and for what the ledger has booked of it.

import type { SeenRequest } from '@/gen/tollgate/control/v1/request_pb';
import type { RequestRecord } from '@/gen/tollgate/control/v1/usage_pb';
import { nanos } from '@/lib/money';
import { millis, span } from '@/lib/time';

export type Flag = 'retried' | 'unpriced' | 'console' | 'cli' | 'correction' | 'refused';

export interface Row {
  /** Unique among the rows of a list. */
  key: string;
  id: string;
  /** Milliseconds since 1970. */
  time: number;
  /** What the caller got; of a record, what the target answered. */
  status: number;
  code: string;
  /** Empty where it is not recorded. */
  method: string;
  path: string;
  endpoint: string;
  keyName: string;
  team: string;
  /** undefined where nothing was charged or it is not known. */
  cost: bigint | undefined;
  /** Milliseconds; undefined where it is not recorded. */
  gateway: number | undefined;
  upstream: number | undefined;
  total: number;
  edge: string;
  flags: Flag[];
}

export function fromSeen(r: SeenRequest): Row {
  const gateway = span(r.gateway);
  const upstream = r.upstream ? span(r.upstream) : undefined;
  const flags: Flag[] = [];
  if (r.attempts > 1) flags.push('retried');
  if (r.unpriced) flags.push('unpriced');
  if (r.source === 'console' || r.source === 'cli') flags.push(r.source);
  if (r.code && !r.attempts) flags.push('refused');
  return {
    key: r.requestId,
    id: r.requestId,
    time: millis(r.time) ?? 0,
    status: r.status,
    code: r.code,
    method: r.method,
    path: r.path,
    endpoint: r.endpoint,
    keyName: r.key,
    team: r.team,
    cost: r.cost ? nanos(r.cost) : undefined,
    gateway,
    upstream,
    total: gateway + (upstream ?? 0),
    edge: r.edge,
    flags,
  };
}

export function fromRecord(r: RequestRecord): Row {
  const flags: Flag[] = [];
  if (r.attempt > 1) flags.push('retried');
  if (r.unpriced) flags.push('unpriced');
  if (r.corrects) flags.push('correction');
  return {
    key: r.position,
    id: r.requestId,
    time: millis(r.time) ?? 0,
    status: r.status,
    code: '',
    method: '',
    path: '',
    endpoint: r.endpointName || r.endpointId,
    keyName: r.keyName || r.keyId,
    team: r.team,
    cost: nanos(r.cost),
    gateway: undefined,
    upstream: undefined,
    total: Number(r.durationUs) / 1000,
    edge: r.edge,
    flags,
  };
}

/** "2xx" to "5xx", and "0xx" for no answer. */
export const classOf = (status: number) => `${Math.floor(status / 100)}xx`;
