// Streams for components. connect-query is for calls with one answer.

import { useEffect, useRef, useState } from 'react';
import { type Problem, problemOf } from './errors';

/**
 * Runs a stream while `key` stays the same, and ends it when the component goes. A stream that breaks is begun again after a
 * second, with what `open` finds then. With `whileVisible` it rests while its tab is hidden.
 */
export function useStream<T>(
  key: string | undefined,
  open: (signal: AbortSignal) => AsyncIterable<T>,
  onMessage: (message: T) => void,
  options: { whileVisible?: boolean; once?: boolean } = {},
): { connected: boolean; problem: Problem | undefined; breaks: number } {
  const [state, setState] = useState<{ connected: boolean; problem: Problem | undefined; breaks: number }>({ connected: false, problem: undefined, breaks: 0 });
  const latest = useRef({ open, onMessage });
  latest.current = { open, onMessage };
  const visible = useVisible();
  const on = key !== undefined && (visible || !options.whileVisible);
  const once = options.once ?? false;
  useEffect(() => {
    if (!on) return;
    const stop = new AbortController();
    void (async () => {
      while (!stop.signal.aborted) {
        try {
          for await (const m of latest.current.open(stop.signal)) {
            setState((s) => (s.connected ? s : { ...s, connected: true, problem: undefined }));
            latest.current.onMessage(m);
          }
          if (once) break;
        } catch (err) {
          if (stop.signal.aborted) return;
          setState((s) => ({ connected: false, problem: problemOf(err), breaks: s.breaks + 1 }));
          if (once) break;
        }
        await new Promise((next) => setTimeout(next, 1000));
      }
      setState((s) => ({ ...s, connected: false }));
    })();
    return () => stop.abort();
  }, [key, on, once]);
  return state;
}

/** Whether the tab is seen. */
export function useVisible(): boolean {
  const [visible, setVisible] = useState(document.visibilityState !== 'hidden');
  useEffect(() => {
    const listener = () => setVisible(document.visibilityState !== 'hidden');
    document.addEventListener('visibilitychange', listener);
    return () => document.removeEventListener('visibilitychange', listener);
  }, []);
  return visible;
}
