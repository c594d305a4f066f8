// What happens elsewhere: changes that others make, and how the fleet is. One tab of a browser listens and tells the others,
// since a browser opens only six connections to a server that speaks HTTP/1.1.

import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { EdgeService, type WatchFleetResponse, WatchFleetResponseSchema } from '@/gen/tollgate/control/v1/edge_pb';
import { SystemService } from '@/gen/tollgate/control/v1/system_pb';
import { clientOf, queryClient, serviceOf } from './client';
import { problemOf } from './errors';
import { store } from './store';

export interface Connection {
  online: boolean;
  /** When it was lost. */
  since: number;
  /** When it is tried again. */
  retryAt: number;
  /** Revision that edges go on with, as far as is known. */
  revision: bigint;
}

export const connection = store<Connection>({ online: true, since: 0, retryAt: 0, revision: 0n });

export interface Fleet extends WatchFleetResponse {
  /** When it was received. */
  receivedAt: number;
}

/** The fleet as it was last told; undefined before, and for who may not see it. */
export const fleet = store<Fleet | undefined>(undefined);

const retryEvery = 4000;
let timer: ReturnType<typeof setTimeout> | undefined;

/** The server has not answered: say so, and try until it does. */
export function lost(): void {
  const now = Date.now();
  connection.set((c) => ({ ...c, online: false, since: c.online ? now : c.since, retryAt: now + retryEvery, revision: fleet.get()?.revision ?? c.revision }));
  clearTimeout(timer);
  timer = setTimeout(retry, retryEvery);
}

/** Asks the server once whether it is there. */
export function retry(): void {
  clearTimeout(timer);
  clientOf(SystemService)
    .getInfo({}, { timeoutMs: 3000 })
    .catch((err: unknown) => {
      if (problemOf(err).away) lost();
    });
}

/** The server has answered. */
export function found(): void {
  if (connection.get().online) return;
  clearTimeout(timer);
  connection.set((c) => ({ ...c, online: true }));
  void queryClient.invalidateQueries();
}

type Changes = { kind: 'changes'; kinds: string[]; reset: boolean; revision: bigint; epoch: bigint };
type Told = Changes | { kind: 'fleet'; bytes: Uint8Array; at: number } | { kind: 'hello' };

// Which services' answers a change of an object touches. All others keep what they have.
const touched: Record<string, string[]> = {
  endpoint: ['Endpoint', 'Explain', 'Secret'],
  model: ['Model', 'Explain'],
  adapter: ['Adapter', 'Model'],
  price_book: ['PriceBook', 'Price'],
  key: ['Key', 'Team'],
  team: ['Team', 'Key'],
  member: ['Team', 'Person'],
  customer: ['Customer'],
  tag: ['Tag'],
  settings: ['Settings', 'System'],
  budget: ['Budget'],
  limit: ['Limit'],
  secret: ['Secret'],
  person: ['Person', 'Team'],
  token: ['Token'],
  alert: ['Alert'],
};
const always = ['Audit', 'Overview', 'Search', 'System', 'Config'];

function apply(told: Told): void {
  if (told.kind === 'fleet') fleet.set({ ...fromBinary(WatchFleetResponseSchema, told.bytes), receivedAt: told.at });
  if (told.kind !== 'changes' || (!told.reset && !told.kinds.length)) return;
  const short = told.reset ? undefined : new Set([...always, ...told.kinds.flatMap((k) => touched[k] ?? [])]);
  void queryClient.invalidateQueries({
    predicate: (q) => !short || short.has(serviceOf(q.queryKey)?.replace(/^.*\.(\w+)Service$/, '$1') ?? ''),
  });
}

/** Listens until it is stopped: as the tab that leads, or to it. */
export function listen(mayWatchFleet: boolean): () => void {
  const stop = new AbortController();
  const channel = new BroadcastChannel('tollgate-live');
  let leads = false;
  let latest: Told | undefined;
  const tell = (told: Told) => {
    apply(told);
    if (told.kind === 'fleet') latest = told;
    channel.postMessage(told);
  };
  // Up to where changes are known, here or in the tab that leads: whoever leads next goes on from there.
  let revision = 0n;
  let epoch = 0n;
  channel.onmessage = (e: MessageEvent<Told>) => {
    const told = e.data;
    if (told.kind === 'hello') {
      if (!leads) return;
      if (latest) channel.postMessage(latest);
      channel.postMessage({ kind: 'changes', kinds: [], reset: false, revision, epoch } satisfies Told);
    } else if (!leads) {
      if (told.kind === 'changes') ({ revision, epoch } = told);
      apply(told);
    }
  };
  channel.postMessage({ kind: 'hello' } satisfies Told);

  const follow = async (once: () => Promise<void>) => {
    while (!stop.signal.aborted) {
      try {
        await once();
      } catch (err) {
        if (stop.signal.aborted) return;
        if (problemOf(err).away) lost();
      }
      await pause(1000, stop.signal);
    }
  };
  const changes = async () => {
    const calls = clientOf(SystemService);
    for await (const m of calls.watchChanges({ afterRevision: revision }, { signal: stop.signal, timeoutMs: 0 })) {
      const reset = m.reset || (epoch !== 0n && m.epoch !== epoch);
      epoch = m.epoch;
      revision = m.revision;
      tell({ kind: 'changes', kinds: [...new Set(m.changes.map((c) => c.kind))], reset, revision, epoch });
    }
  };
  const nodes = async () => {
    for await (const m of clientOf(EdgeService).watchFleet({}, { signal: stop.signal, timeoutMs: 0 })) {
      tell({ kind: 'fleet', bytes: toBinary(WatchFleetResponseSchema, m), at: Date.now() });
    }
  };
  const lead = async () => {
    leads = true;
    await Promise.all([follow(changes), mayWatchFleet ? follow(nodes) : undefined]);
  };
  // Where there are no locks, as on plain HTTP, every tab listens for itself.
  if (navigator.locks) navigator.locks.request('tollgate-live', { signal: stop.signal }, lead).catch(() => undefined);
  else void lead();
  return () => {
    stop.abort();
    channel.close();
  };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const t = setTimeout(done, ms);
    signal.addEventListener('abort', () => (clearTimeout(t), done()), { once: true });
  });
}
