import { useEffect, useMemo, useRef, useState } from 'react';
import { clientOf } from '@/api/client';
import { useStream } from '@/api/stream';
import { RequestService } from '@/gen/tollgate/control/v1/request_pb';
import { type Selection, toSeen } from './selection';
import { perSecond, TailBuffer, type View } from './tail';

/** What was there before a live list is opened: so much, and so many at most. */
const before = { seconds: 300n, nanos: 0 };
const beforeMost = 200;
/** New rows are drawn so often at most: more nobody reads. */
const drawEvery = 120;

export interface Live {
  view: View;
  connected: boolean;
  broken: boolean;
  /** Whether rows wait because somebody asked for it. */
  paused: boolean;
}

/**
 * Follows requests while its tab is seen. What comes is collected and drawn in steps, so that a hundred requests cost as much as
 * one; while `reading` new rows wait.
 */
export function useTail(selection: Selection, options: { on: boolean; all: boolean; paused: boolean; reading: boolean }): Live {
  const { on, all } = options;
  const buffer = useMemo(() => new TailBuffer(), []);
  const [view, setView] = useState<View>(() => buffer.view(0));
  const wanted = JSON.stringify(selection) + all;
  const key = useRef(wanted);
  const frame = useRef(0);
  const drawn = useRef({ at: 0, timer: undefined as ReturnType<typeof setTimeout> | undefined });

  const soon = useRef(() => {
    const d = drawn.current;
    if (d.timer || frame.current) return;
    d.timer = setTimeout(() => {
      d.timer = undefined;
      frame.current = requestAnimationFrame(() => {
        frame.current = 0;
        d.at = performance.now();
        setView(buffer.view(Date.now()));
      });
    }, Math.max(drawEvery - (performance.now() - d.at), 0));
  });
  useEffect(() => {
    const d = drawn.current;
    return () => {
      clearTimeout(d.timer);
      d.timer = undefined;
      cancelAnimationFrame(frame.current);
      frame.current = 0;
    };
  }, []);

  if (key.current !== wanted) {
    key.current = wanted;
    buffer.clear();
  }
  useEffect(() => {
    setView(buffer.view(Date.now()));
  }, [buffer, wanted]);

  const paused = options.paused || options.reading;
  useEffect(() => {
    buffer.pause(paused);
    setView(buffer.view(Date.now()));
  }, [buffer, paused]);
  // The rate falls also when nothing comes.
  useEffect(() => {
    if (!on) return;
    const timer = setInterval(() => soon.current(), 1000);
    return () => clearInterval(timer);
  }, [on]);

  const stream = useStream(
    on ? wanted : undefined,
    (signal) => follow(selection, buffer, all, signal),
    () => soon.current(),
    { whileVisible: true },
  );
  useEffect(() => {
    if (stream.breaks) buffer.lost(Date.now());
  }, [stream.breaks, buffer]);
  return { view, connected: stream.connected, broken: !!stream.problem && !stream.connected, paused };
}

/** The stream of a selection: first what was there a moment ago, then what comes, from the last token on after a break. */
async function* follow(selection: Selection, buffer: TailBuffer, all: boolean, signal: AbortSignal) {
  const { filter, except } = toSeen(selection);
  const calls = clientOf(RequestService);
  const pace = all ? 0 : perSecond;
  if (!buffer.token) {
    const first = new AbortController();
    signal.addEventListener('abort', () => first.abort(), { once: true });
    let messages = 0;
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      for await (const m of calls.tailRequests({ filter, except, since: before, mostPerSecond: beforeMost }, { signal: first.signal, timeoutMs: 0 })) {
        // What is left out of the past says nothing about the rate.
        buffer.add({ ...m, leftOut: 0n, gap: false }, 0);
        yield m;
        if (++messages === 2) break;
        // The first message says where it begins; the second has what was there. Without one there is nothing to wait for.
        timer = setTimeout(() => first.abort(), 500);
      }
    } catch (err) {
      if (signal.aborted || !buffer.token) throw err;
    } finally {
      clearTimeout(timer);
      first.abort();
    }
  }
  for await (const m of calls.tailRequests({ filter, except, resumeToken: buffer.token, mostPerSecond: pace }, { signal, timeoutMs: 0 })) {
    buffer.add(m, Date.now());
    yield m;
  }
}
