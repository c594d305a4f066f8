import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { QueryUsageResponseSchema } from '@/gen/tollgate/control/v1/usage_pb';
import { money } from './money';
import { dayIn, seriesOf, startOfDay } from './usage';

describe('days of a zone', () => {
  it('begin when its clocks say so, also where clocks change', () => {
    expect(startOfDay('2026-11-23', 'UTC')).toBe(Date.parse('2026-11-23T00:00:00Z'));
    expect(startOfDay('2026-11-23', 'Europe/Berlin')).toBe(Date.parse('2026-11-22T23:00:00Z'));
    expect(startOfDay('2026-10-25', 'Europe/Berlin')).toBe(Date.parse('2026-10-24T22:00:00Z'));
    expect(startOfDay('2026-10-26', 'Europe/Berlin')).toBe(Date.parse('2026-10-25T23:00:00Z'));
    expect(dayIn(Date.parse('2026-11-22T23:30:00Z'), 'Europe/Berlin')).toBe('2026-11-23');
  });
});

describe('series of usage', () => {
  const answer = create(QueryUsageResponseSchema, {
    groups: [
      { endpointId: 'ep_1', endpointName: 'bria', cost: money(36_000_000_000n) },
      { other: true, cost: money(1n) },
    ],
    rows: [
      { endpointId: 'ep_1', endpointName: 'bria', day: '2026-11-21', cost: money(12_000_000_000n), requests: 1n },
      { endpointId: 'ep_1', endpointName: 'bria', day: '2026-11-23', cost: money(24_000_000_000n), requests: 2n },
      { other: true, day: '2026-11-23', cost: money(1n), requests: 5n },
    ],
  });
  const range = { from: Date.parse('2026-11-21T00:00:00Z'), to: Date.parse('2026-11-24T00:00:00Z') };

  it('have a value for each day, and nothing where there was nothing', () => {
    const s = seriesOf(answer, 'endpoint', 'spend', range, 'day', 'UTC');
    expect(s.times).toHaveLength(3);
    expect(s.groups.map((g) => [g.name, g.values])).toEqual([
      ['bria', [12, 0, 24]],
      ['', [0, 0, 1e-9]],
    ]);
  });
  it('count what they are asked for', () => {
    expect(seriesOf(answer, 'endpoint', 'requests', range, 'day', 'UTC').groups[1]!.values).toEqual([0, 0, 5]);
  });
});
