// How the console calls the server: as JSON, with a key by which a change that is sent twice is made once, and with notice of
// whether the server answers, who is signed in, and which revision a change made.

import { Code, ConnectError, type Interceptor, type Transport } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-web';
import { MethodOptions_IdempotencyLevel } from '@bufbuild/protobuf/wkt';
import { basePath } from '@/boot';
import { problemOf } from './errors';

export interface Watchers {
  answered(): void;
  away(): void;
  signedOut(): void;
  saving(): void;
  failed(): void;
  changed(revision: bigint | undefined): void;
}

let watchers: Watchers = { answered() {}, away() {}, signedOut() {}, saving() {}, failed() {}, changed() {} };
export const watch = (w: Watchers) => {
  watchers = w;
};

/** Services whose changes go out to edges as revisions. */
const published = /\.(Endpoint|Model|Adapter|PriceBook|Key|Team|Customer|Tag|Settings|Budget|Limit|Secret|Config)Service$/;
const settled = /^(Plan|ConvertLiteLLM|PreviewEndpoint)$/;

/** Header of a call that asks what would happen. */
export const dryRun = { 'x-tollgate-dry-run': 'true' };
/** Header of a call that may change what a file owns. */
export const override = { 'x-tollgate-override': 'managed' };

const around: Interceptor = (next) => async (req) => {
  req.header.set('x-tollgate-client', 'console');
  const writes = req.method.idempotency !== MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS && !req.stream;
  const kept = writes && !req.header.has('x-tollgate-dry-run') && published.test(req.service.typeName) && !settled.test(req.method.name);
  if (kept && !req.header.has('Idempotency-Key')) req.header.set('Idempotency-Key', crypto.randomUUID());
  if (kept) watchers.saving();
  try {
    const res = await next(req);
    watchers.answered();
    if (kept && !res.stream) watchers.changed(revisionOf(res.message));
    return res;
  } catch (err) {
    const e = ConnectError.from(err);
    if (kept) watchers.failed();
    if (problemOf(e).away && e.code !== Code.DeadlineExceeded) watchers.away();
    else if (e.code !== Code.Canceled) watchers.answered();
    if (e.code === Code.Unauthenticated && !req.service.typeName.endsWith('AccountService')) watchers.signedOut();
    throw err;
  }
};

function revisionOf(message: unknown): bigint | undefined {
  for (const value of Object.values(message as Record<string, unknown>)) {
    const revision = typeof value === 'object' && value && 'revision' in value ? (value as { revision: unknown }).revision : undefined;
    if (typeof revision === 'bigint' && revision > 0n) return revision;
  }
  const own = (message as { revision?: unknown }).revision;
  return typeof own === 'bigint' && own > 0n ? own : undefined;
}

export const transport: Transport = createConnectTransport({
  baseUrl: location.origin + basePath.replace(/\/$/, ''),
  interceptors: [around],
  defaultTimeoutMs: 30_000,
});
