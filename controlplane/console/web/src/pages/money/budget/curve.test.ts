import { describe, expect, it } from 'vitest';
import { Period } from '@/gen/tollgate/control/v1/budget_pb';
import { curveOf, periodsBefore, stepOf } from './curve';

const hour = 3_600_000;
const day = 24 * hour;
const steps = (from: number, n: number, length: number) => Array.from({ length: n }, (_, i) => from + i * length);

describe('what is left over time', () => {
  const base = { start: 0, end: 10 * day, now: 4 * day + hour, limit: 100n, left: 40n, pace: 0n, steps: steps(0, 5, day), stepLength: day, spent: new Map([[0, 10n], [2 * day, 50n]]) };

  it('ends at what is left now, whatever was booked elsewhere before', () => {
    const c = curveOf(base);
    expect(c.times.slice(0, 6)).toEqual([0, day, 2 * day, 3 * day, 4 * day, base.now]);
    expect(c.left.slice(0, 6)).toEqual([100n, 90n, 90n, 40n, 40n, 40n]);
    // $20 were spent before the budget was made, and are in no step.
    expect(curveOf({ ...base, left: 20n }).left[0]).toBe(80n);
    expect(c.times.at(-1)).toBe(base.end);
    expect([c.even[0], c.even[1], c.even.at(-1)]).toEqual([100n, 90n, 0n]);
  });

  it('goes on at the pace until nothing is left, and no further', () => {
    const c = curveOf({ ...base, pace: 1n });
    const projected = c.projected.filter((v) => v !== null);
    expect(projected[0]).toBe(40n);
    expect(projected.at(-1)).toBe(0n);
    expect(projected.filter((v) => v <= 0n)).toHaveLength(1);
    expect(curveOf({ ...base, pace: undefined }).projected.every((v) => v === null)).toBe(true);
  });

  it('follows a soft budget below nothing', () => {
    const c = curveOf({ ...base, left: -10n, pace: 1n });
    expect(c.projected.filter((v) => v !== null).at(-1)).toBeLessThan(-100n);
  });

  it('of a rolling budget rises again when days fall out of it', () => {
    const c = curveOf({ ...base, start: 2 * day, end: undefined, window: 2, left: 70n, spent: new Map([[day, 30n], [3 * day, 10n], [4 * day, 20n]]) });
    expect(c.left).toEqual([70n, 90n, 70n]);
    expect(c.times.at(-1)).toBe(base.now);
    expect(c.even.every((v) => v === null)).toBe(true);
  });
});

describe('periods before', () => {
  const at = (text: string) => Date.parse(text);
  const from = (p: Period, start: string, zone: string, n = 2) => periodsBefore(at(start), p, zone, n).map((x) => new Date(x.from).toISOString().slice(0, 16));
  it('begin by the clocks of the zone, also where clocks change', () => {
    expect(from(Period.MONTH, '2026-11-01T00:00:00Z', 'UTC')).toEqual(['2026-10-01T00:00', '2026-09-01T00:00']);
    expect(from(Period.MONTH, '2026-10-31T23:00:00Z', 'Europe/Berlin')).toEqual(['2026-09-30T22:00', '2026-08-31T22:00']);
    expect(from(Period.DAY, '2026-10-25T23:00:00Z', 'Europe/Berlin')).toEqual(['2026-10-24T22:00', '2026-10-23T22:00']);
    expect(from(Period.WEEK, '2026-01-05T00:00:00Z', 'UTC')).toEqual(['2025-12-29T00:00', '2025-12-22T00:00']);
    expect(from(Period.HOUR, '2026-01-01T00:00:00Z', 'UTC', 1)).toEqual(['2025-12-31T23:00']);
    expect(from(Period.ROLLING, '2026-01-01T00:00:00Z', 'UTC')).toEqual([]);
  });
});

describe('steps', () => {
  it('are hours up to a month, days beyond', () => {
    expect([stepOf(31 * day).bucket, stepOf(90 * day).bucket]).toEqual(['hour', 'day']);
  });
});
