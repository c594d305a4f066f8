// The last tries of each endpoint, in this browser: what was sent, without credentials, and nothing of what was answered.

import { type Draft, decode, encode } from './draft';

const most = 20;
const name = (endpoint: string) => `tollgate-tries-${endpoint}`;

export interface Tried {
  at: number;
  status: number;
  draft: Draft;
}

export function tries(endpoint: string): Tried[] {
  try {
    const all = JSON.parse(localStorage.getItem(name(endpoint)) ?? '[]') as { at: number; status: number; d: string }[];
    return all.flatMap((t) => {
      const draft = decode(t.d);
      return draft ? [{ at: t.at, status: t.status, draft }] : [];
    });
  } catch {
    return [];
  }
}

/** Adds a try. The same request as the last one takes its place. */
export function remember(endpoint: string, draft: Draft, status: number, at: number): void {
  const d = encode(draft);
  const before = tries(endpoint).map((t) => ({ at: t.at, status: t.status, d: encode(t.draft) }));
  const all = [{ at, status, d }, ...before.filter((t) => t.d !== d)].slice(0, most);
  try {
    localStorage.setItem(name(endpoint), JSON.stringify(all));
  } catch {
    // Storage may be off or full.
  }
}
