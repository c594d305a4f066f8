// Which requests a budget has turned away lately, as edges have seen it. They are in no book: they cost nothing.

import { useMemo, useRef, useState } from 'react';
import { clientOf } from '@/api/client';
import { useStream } from '@/api/stream';
import type { Budget } from '@/gen/tollgate/control/v1/budget_pb';
import { RequestService, type SeenRequest } from '@/gen/tollgate/control/v1/request_pb';
import { millis } from '@/lib/time';
import { type Scope, scopeOf } from './facts';

/** So far back refusals are counted. */
export const lately = 3_600_000;
const most = 2000;

/** Whether a request was in what a budget is on. */
export function inScope(s: Scope, r: SeenRequest): boolean {
  switch (s.kind) {
    case 'everything':
      return true;
    case 'team':
      return r.team === s.name;
    case 'key':
      return r.key === s.name;
    case 'endpoint':
      return r.endpoint === s.name;
    case 'customer':
      return r.customer === s.name;
    case 'tag':
      return r.tags.includes(s.name);
  }
}

/** The refusals of the last hour, newest first, while the tab is seen. */
export function useRefused(on: boolean): { of: (b: Budget) => SeenRequest[] } {
  const seen = useRef(new Map<string, SeenRequest>());
  const [version, setVersion] = useState(0);
  useStream(
    on ? 'refused' : undefined,
    (signal) => clientOf(RequestService).tailRequests({ filter: { statuses: ['402'], text: 'budget_exhausted' }, since: { seconds: BigInt(lately / 1000), nanos: 0 } }, { signal, timeoutMs: 0 }),
    (m) => {
      let fresh = false;
      for (const r of m.requests) {
        if (r.code !== 'budget_exhausted' || seen.current.has(r.requestId)) continue;
        seen.current.set(r.requestId, r);
        fresh = true;
      }
      if (!fresh) return;
      for (const [id, r] of seen.current) {
        if (seen.current.size <= most && (millis(r.time) ?? 0) > Date.now() - lately) break;
        seen.current.delete(id);
      }
      setVersion((v) => v + 1);
    },
    { whileVisible: true },
  );
  return useMemo(() => {
    const all = [...seen.current.values()].toReversed();
    return {
      of: (b: Budget) => {
        const s = scopeOf(b);
        return all.filter((r) => inScope(s, r));
      },
    };
    // The map is the same; that it has changed is what the version says.
    // oxlint-disable-next-line react-hooks/exhaustive-deps
  }, [version]);
}
