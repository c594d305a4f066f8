// The time, for what says how long ago something was. One timer for all who look.

import { useSyncExternalStore } from 'react';

let now = Date.now();
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => {
    now = Date.now();
    for (const l of listeners) l();
  }, 1000);
  return () => {
    listeners.delete(listener);
    if (!listeners.size) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

/** Milliseconds since 1970, new every second. */
export const useNow = () => useSyncExternalStore(subscribe, () => now);

/** The beginning of the hour that runs, new when another begins. */
export const useHour = () => useSyncExternalStore(subscribe, () => Math.floor(now / 3_600_000) * 3_600_000);
