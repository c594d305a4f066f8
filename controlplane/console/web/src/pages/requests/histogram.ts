// Requests by time and kind of status, of the rows that are there.

import { isMark, type Item } from './tail';

export interface Buckets {
  /** Beginnings in milliseconds. */
  times: number[];
  step: number;
  ok: number[];
  warn: number[];
  bad: number[];
}

const steps = [1000, 2000, 5000, 10_000, 30_000, 60_000, 300_000, 900_000, 3_600_000, 10_800_000, 43_200_000, 86_400_000];

/** Divides a range into at most so many steps of a length that people count in. */
export function bucketsOf(items: Item[], from: number, to: number, most = 90): Buckets {
  const step = steps.find((s) => (to - from) / s <= most) ?? steps.at(-1)!;
  const first = Math.floor(from / step) * step;
  const n = Math.max(Math.ceil((to - first) / step), 1);
  const empty = () => new Array<number>(n).fill(0);
  const out: Buckets = { times: Array.from({ length: n }, (_, i) => first + i * step), step, ok: empty(), warn: empty(), bad: empty() };
  for (const item of items) {
    if (isMark(item)) continue;
    const i = Math.floor((item.time - first) / step);
    if (i < 0 || i >= n) continue;
    const column = item.status >= 500 || item.status === 0 ? out.bad : item.status >= 400 ? out.warn : out.ok;
    column[i]!++;
  }
  return out;
}
