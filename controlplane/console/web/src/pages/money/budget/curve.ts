// What was left of a budget over its period, and what will be. Everything is counted back from what is left now, so that the
// curve ends at the figure that the page shows.

import { Period } from '@/gen/tollgate/control/v1/budget_pb';
import { startOfDay } from '@/lib/usage';

const hour = 3_600_000;
const day = 24 * hour;

export interface Curve {
  times: number[];
  /** In nano-dollars; null where there is none. */
  left: (bigint | null)[];
  even: (bigint | null)[];
  projected: (bigint | null)[];
}

export interface CurveInput {
  start: number;
  end: number | undefined;
  now: number;
  limit: bigint;
  /** What is left now. */
  left: bigint;
  /** What is spent an hour; undefined where that is not known. */
  pace: bigint | undefined;
  /** What was spent in each step, by the time at which it begins. */
  spent: Map<number, bigint>;
  /** Beginnings of the steps from the start to now. */
  steps: number[];
  stepLength: number;
  /** A rolling budget: how many steps what was spent counts. The steps then begin so many before the start. */
  window?: number;
}

/** The points of the curve: one at the end of each step, now, and as many steps as there are until the period ends. */
export function curveOf(c: CurveInput): Curve {
  const out: Curve = { times: [], left: [], even: [], projected: [] };
  const add = (time: number, left: bigint | null, projected: bigint | null) => {
    out.times.push(time);
    out.left.push(left);
    out.projected.push(projected);
    out.even.push(c.end === undefined ? null : c.limit - (c.limit * BigInt(Math.round(Math.max(time - c.start, 0)))) / BigInt(Math.round(c.end - c.start)));
  };
  if (c.window !== undefined) {
    // What was spent falls out again, so each day is added up for itself.
    c.steps.forEach((s, i) => {
      if (s < c.start) return;
      let sum = 0n;
      for (let k = Math.max(0, i - c.window! + 1); k <= i; k++) sum += c.spent.get(c.steps[k]!) ?? 0n;
      const last = i === c.steps.length - 1;
      add(last ? c.now : Math.min(s + c.stepLength, c.now), last ? c.left : c.limit - sum, null);
    });
    return out;
  }
  const total = c.steps.reduce((sum, s) => sum + (c.spent.get(s) ?? 0n), 0n);
  let left = c.left + total;
  add(c.start, left, null);
  for (const s of c.steps) {
    left -= c.spent.get(s) ?? 0n;
    const at = Math.min(s + c.stepLength, c.now);
    if (at >= c.now) break;
    if (at > out.times.at(-1)!) add(at, left, null);
  }
  if (c.now > out.times.at(-1)!) add(c.now, c.left, c.pace === undefined ? null : c.left);
  if (c.end === undefined || c.end <= c.now) return out;
  const first = c.steps.at(-1) ?? c.start;
  for (let at = first + c.stepLength; ; at += c.stepLength) {
    const time = Math.min(at, c.end);
    if (time > c.now) {
      const later = c.pace === undefined ? null : c.left - (c.pace * BigInt(Math.round(time - c.now))) / BigInt(hour);
      // It ends where nothing is left: what comes then is not spent.
      const out0 = out.projected.at(-1);
      add(time, null, later === null || out0 === null || out0 === undefined || (out0 !== undefined && out0 <= 0n && c.left > 0n) ? null : later < 0n && c.left > 0n ? 0n : later);
    }
    if (time >= c.end) return out;
  }
}

/** Beginnings of the periods before the one that begins at start, the latest first. */
export function periodsBefore(start: number, period: Period, timeZone: string, n: number): { from: number; to: number }[] {
  const out: { from: number; to: number }[] = [];
  let to = start;
  for (let i = 0; i < n; i++) {
    const from = before(to, period, timeZone);
    if (from === undefined) break;
    out.push({ from, to });
    to = from;
  }
  return out;
}

function before(start: number, period: Period, timeZone: string): number | undefined {
  if (period === Period.HOUR) return start - hour;
  const [y, m, d] = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short' }).format(start).split('-').map(Number) as [number, number, number];
  const begin = (ms: number) => startOfDay(new Date(ms).toISOString().slice(0, 10), timeZone);
  switch (period) {
    case Period.DAY:
      return begin(Date.UTC(y, m - 1, d - 1));
    case Period.WEEK:
      return begin(Date.UTC(y, m - 1, d - 7));
    case Period.MONTH:
      return begin(Date.UTC(y, m - 2, 1));
    default:
      return undefined;
  }
}

/** How usage is asked for, so that a chart has neither too few points nor too many. */
export const stepOf = (length: number): { bucket: 'hour' | 'day'; ms: number } => (length <= 32 * day ? { bucket: 'hour', ms: hour } : { bucket: 'day', ms: day });
