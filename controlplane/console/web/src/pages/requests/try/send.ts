// Sends a request and follows what happens to it.

import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { useCallback, useEffect, useRef, useState } from 'react';
import { clientOf } from '@/api/client';
import type { Explanation } from '@/gen/tollgate/control/v1/explain_pb';
import { type InvokeAnswered, type InvokeEnded, InvokeRequestSchema, type InvokeStarted, TryService } from '@/gen/tollgate/control/v1/try_pb';
import { type Draft, headersOf, target } from './draft';

export type Phase = 'sending' | 'waiting' | 'answering' | 'done' | 'canceled' | 'failed' | 'explained';

export interface Attempt {
  phase: Phase;
  draft: Draft;
  path: string;
  /** By the clock that only goes forward. */
  beganAt: number;
  started?: InvokeStarted;
  answered?: InvokeAnswered;
  ended?: InvokeEnded;
  explanation?: Explanation;
  /** Why it could not be sent at all. */
  error?: unknown;
  /** The body as far as it has come. */
  body: Uint8Array;
  /** How often it was sent, because an edge did not have the newest revision yet. */
  tries: number;
}

const behindTries = 3;
const behindPause = 400;
const nothing = new Uint8Array();

/** Header of an answer, by its name in lower case. */
export const header = (a: Attempt | undefined, name: string) => a?.answered?.headers.find((h) => h.name === name)?.value;

export function useTry(base: string, revision: bigint, onEnd: (a: Attempt) => void) {
  const [attempt, setAttempt] = useState<Attempt>();
  const stop = useRef<AbortController>(undefined);
  const ended = useRef(onEnd);
  ended.current = onEnd;
  useEffect(() => () => stop.current?.abort(), []);

  const send = useCallback(
    async (draft: Draft, dryRun: boolean) => {
      stop.current?.abort();
      const own = new AbortController();
      stop.current = own;
      const path = target(base, draft);
      let now: Attempt = { phase: 'sending', draft, path, beganAt: performance.now(), body: nothing, tries: 1 };
      let frame = 0;
      const show = (next: Attempt) => {
        now = next;
        // Pieces of a stream come faster than they can be read.
        frame ||= requestAnimationFrame(() => {
          frame = 0;
          if (stop.current === own) setAttempt(now);
        });
      };
      setAttempt(now);
      const request = create(InvokeRequestSchema, {
        method: draft.method,
        path,
        key: draft.key,
        node: draft.edge,
        headers: headersOf(draft),
        body: new TextEncoder().encode(draft.body),
        dryRun,
      });
      try {
        for (;;) {
          for await (const { event } of clientOf(TryService).invoke(request, { signal: own.signal, timeoutMs: 0 })) {
            if (event.case === 'started') show({ ...now, phase: 'waiting', started: event.value });
            else if (event.case === 'answered') show({ ...now, phase: 'answering', answered: event.value });
            else if (event.case === 'data') show({ ...now, body: joined(now.body, event.value) });
            else if (event.case === 'explanation') show({ ...now, phase: 'explained', explanation: event.value });
            else if (event.case === 'ended') show({ ...now, phase: 'done', ended: event.value });
          }
          const seen = now.ended?.seen;
          // The control plane has vouched for the key: an edge that does not know it has not heard of it yet.
          const old = seen && seen.attempts === 0 && (seen.code === 'key_unknown' || (seen.revision > 0n && seen.revision < revision));
          const behind = old && now.tries < behindTries;
          if (!behind) break;
          await pause(behindPause, own.signal);
          show({ phase: 'sending', draft, path, beganAt: performance.now(), body: nothing, tries: now.tries + 1 });
        }
      } catch (err) {
        const canceled = own.signal.aborted || ConnectError.from(err).code === Code.Canceled;
        show(canceled ? { ...now, phase: 'canceled' } : { ...now, phase: 'failed', error: err });
      }
      ended.current(now);
    },
    [base, revision],
  );
  const cancel = useCallback(() => stop.current?.abort(), []);
  const clear = useCallback(() => {
    stop.current?.abort();
    stop.current = undefined;
    setAttempt(undefined);
  }, []);
  return { attempt, send, cancel, clear };
}

export const running = (a: Attempt | undefined) => !!a && (a.phase === 'sending' || a.phase === 'waiting' || a.phase === 'answering');

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', () => (clearTimeout(timer), done()), { once: true });
  });
}
