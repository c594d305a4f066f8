// A value outside of components that components read.

import { useSyncExternalStore } from 'react';

export interface Store<T> {
  get(): T;
  set(next: T | ((now: T) => T)): void;
  subscribe(listener: () => void): () => void;
  use(): T;
}

export function store<T>(initial: T): Store<T> {
  let now = initial;
  const listeners = new Set<() => void>();
  const self: Store<T> = {
    get: () => now,
    set(next) {
      const value = typeof next === 'function' ? (next as (now: T) => T)(now) : next;
      if (Object.is(value, now)) return;
      now = value;
      for (const l of listeners) l();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    use: () => useSyncExternalStore(self.subscribe, self.get),
  };
  return self;
}

/** A store whose value outlives the page. What cannot be kept is forgotten. */
export function kept<T>(name: string, initial: T, read: (text: string) => T | undefined = (text) => JSON.parse(text) as T): Store<T> {
  const key = `tollgate-${name}`;
  let first = initial;
  try {
    const text = localStorage.getItem(key);
    if (text !== null) first = read(text) ?? initial;
  } catch {
    // Storage may be off or hold what another version wrote.
  }
  const s = store(first);
  s.subscribe(() => {
    try {
      const v = s.get();
      localStorage.setItem(key, typeof v === 'string' ? v : JSON.stringify(v));
    } catch {
      // Storage may be off or full.
    }
  });
  return s;
}
