import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { UsageDimension, type UsageRow, UsageRowSchema } from '@/gen/tollgate/control/v1/usage_pb';
import { money } from '@/lib/money';
import { ask, bucketOf, byStatus, spent, timesOf } from './series';
import { firstOfMonth, lastHours } from '../list/useRecent';

const at = (text: string) => Date.parse(text);
const row = (over: Partial<UsageRow>) => create(UsageRowSchema, over as object);

describe('series of usage', () => {
  it('have every hour of the range, also those without requests', () => {
    const range = { from: at('2026-11-22T10:20:00Z'), to: at('2026-11-22T13:05:00Z') };
    expect(bucketOf(range)).toBe('hour');
    const { times, place } = timesOf(range, 'hour', 'UTC');
    expect(times.map((t) => new Date(t).toISOString().slice(11, 16))).toEqual(['10:00', '11:00', '12:00', '13:00']);
    const rows = [
      row({ hour: '2026-11-22T11', statusClass: '2xx', requests: 3n, cost: money(36_000_000_000n) }),
      row({ hour: '2026-11-22T13', statusClass: '5xx', requests: 2n }),
      row({ hour: '2026-11-22T13', statusClass: '2xx', requests: 1n, cost: money(1n) }),
      row({ hour: '2026-11-22T14', statusClass: '4xx', requests: 9n }),
    ];
    expect(byStatus(rows, times, place)).toEqual([
      { id: '2xx', values: [0, 3, 0, 1] },
      { id: '5xx', values: [0, 0, 0, 2] },
    ]);
    expect(spent(rows, times, place)).toEqual([0, 36, 0, 1e-9]);
  });

  it('have days of the zone, one of 25 hours too', () => {
    const range = { from: at('2026-10-23T22:00:00Z'), to: at('2026-10-28T23:00:00Z') };
    expect(bucketOf(range)).toBe('day');
    const { times, place } = timesOf(range, 'day', 'Europe/Berlin');
    expect(times).toHaveLength(5);
    expect(new Date(times[2]!).toISOString()).toBe('2026-10-25T23:00:00.000Z');
    expect(place(row({ day: '2026-10-24' }))).toBe(0);
    expect(place(row({ day: '2026-10-28' }))).toBe(4);
    expect(place(row({ day: '2026-10-29' }))).toBe(-1);
  });

  it('are asked for in whole hours, with no end where the range ends now', () => {
    const now = Date.now();
    expect(ask('bria', { from: now - 86_400_000, to: now }, 'UTC', [UsageDimension.HOUR]).toTime).toBeUndefined();
    const past = ask('bria', { from: at('2026-11-01T00:30:00Z'), to: at('2026-11-02T00:30:00Z') }, 'UTC', []);
    expect([past.fromTime!.seconds, past.toTime!.seconds].map((s) => new Date(Number(s) * 1000).toISOString())).toEqual(['2026-11-01T00:00:00.000Z', '2026-11-02T01:00:00.000Z']);
  });

  it('begin months where the zone does', () => {
    expect(firstOfMonth(at('2026-11-30T23:30:00Z'), 'Europe/Berlin')).toBe('2026-12-01');
    expect(firstOfMonth(at('2026-11-30T23:30:00Z'), 'UTC')).toBe('2026-11-01');
    expect(lastHours(at('2026-11-22T10:00:00Z'))[0]).toBe('2026-11-21T11');
  });
});
