import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { describe, expect, it } from 'vitest';
import { BudgetStateSchema, BudgetStatus } from '@/gen/tollgate/control/v1/budget_pb';
import { dollar, money } from '@/lib/money';
import { byFate, fateOf } from './fate';

const at = (text: string) => Date.parse(`${text}Z`);
const ts = (text: string) => timestampFromMs(at(text));
const now = at('2026-11-23T12:00:00');
const month = { periodStart: ts('2026-11-01T00:00:00'), periodEnd: ts('2026-12-01T00:00:00') };
const usd = (n: number) => money(BigInt(n) * dollar);
const fate = (init: MessageInitShape<typeof BudgetStateSchema>, more: { soft?: boolean; refused?: number; end?: string } = {}) =>
  fateOf(create(BudgetStateSchema, { limit: usd(6000), spent: usd(1204), status: BudgetStatus.OK, ...month, ...init }), {
    now,
    zone: 'utc',
    soft: false,
    end: '1 Dec',
    ...more,
  });

describe('what becomes of a budget', () => {
  it('says the time on the day, the day in the week, and only the day beyond', () => {
    expect(fate({ runsOutAfter: ts('2026-11-23T16:20:00'), runsOutBefore: ts('2026-11-23T16:20:00') }).text).toBe('runs out today ≈ 16:20');
    expect(fate({ runsOutAfter: ts('2026-11-24T09:05:00'), runsOutBefore: ts('2026-11-24T09:05:00') }).text).toBe('runs out tomorrow, 24 Nov ≈ 09:05');
    expect(fate({ runsOutAfter: ts('2026-11-26T16:20:00'), runsOutBefore: ts('2026-11-26T16:40:00') }).text).toBe('runs out Thu 26 Nov ≈ 16:20');
    expect(fate({ periodEnd: ts('2027-01-01T00:00:00'), runsOutAfter: ts('2026-12-20T16:20:00'), runsOutBefore: ts('2026-12-20T16:20:00') }).text).toBe('runs out ≈ 20 Dec');
  });

  it('says a range where the two ways to look at the pace differ', () => {
    expect(fate({ runsOutAfter: ts('2026-11-25T07:58:00'), runsOutBefore: ts('2026-11-28T10:14:00') }).text).toBe('runs out between Wed 25 Nov and Sat 28 Nov');
    expect(fate({ runsOutAfter: ts('2026-11-23T14:00:00'), runsOutBefore: ts('2026-11-23T18:30:00') }).text).toBe('runs out today between 14:00 and 18:30');
  });

  it('does not call the end of the period a day on which it runs out', () => {
    const f = fate({ runsOutAfter: ts('2026-11-25T18:22:00'), runsOutBefore: ts('2026-12-01T00:00:00') });
    expect(f.text).toBe('may run out Wed 25 Nov ≈ 18:22, or last until 1 Dec');
    expect(f.kind).toBe('maybe');
  });

  it('projects to the end of the period and never beyond', () => {
    expect(fate({ projected: usd(1690), pace: usd(2) }).text).toBe('on track: ≈ $1,690 by 1 Dec (28 %)');
    expect(fate({ pace: usd(1) }, { end: '' }).text).toBe('lasts for more than a year at this pace');
    expect(fate({}).text).toBe('Not enough data yet.');
    expect(fateOf(undefined, { now, zone: 'utc', soft: false, end: '' }).kind).toBe('unknown');
  });

  it('says since when it is used up, and what that does', () => {
    const used = { status: BudgetStatus.EXHAUSTED, spent: usd(6000), warnings: [{ percent: 50, time: ts('2026-11-20T00:00:00') }, { percent: 100, time: ts('2026-11-23T10:00:00') }] };
    expect(fate(used, { refused: 37 }).text).toBe('used up 2h ago · 37 refused');
    expect(fate({ ...used, spent: usd(6012) }, { soft: true }).text).toBe('used up 2h ago · $12 over · requests still pass');
    expect(fate({ ...used, warnings: [] }).text).toBe('used up');
  });

  it('tells days of the zone in which times are shown, not of UTC', () => {
    const local = new Date(at('2026-11-23T23:30:00'));
    const f = fateOf(create(BudgetStateSchema, { limit: usd(1), status: BudgetStatus.AT_RISK, ...month, runsOutAfter: ts('2026-11-23T23:30:00'), runsOutBefore: ts('2026-11-23T23:30:00') }), {
      now: local.getTime() - 60_000,
      zone: 'local',
      soft: false,
      end: '',
    });
    const hhmm = `${String(local.getHours()).padStart(2, '0')}:${String(local.getMinutes()).padStart(2, '0')}`;
    expect(f.text).toContain(`≈ ${hhmm}`);
  });
});

describe('who runs out first', () => {
  it('puts what is used up first, then dates, then the rest by what is spent of it', () => {
    const rows = [
      { id: 'track', fate: fate({ projected: usd(100) }), share: 0.2 },
      { id: 'busy', fate: fate({ projected: usd(5000) }), share: 0.7 },
      { id: 'late', fate: fate({ runsOutAfter: ts('2026-11-28T00:00:00') }), share: 0.9 },
      { id: 'none', fate: fateOf(undefined, { now, zone: 'utc', soft: false, end: '' }), share: 0 },
      { id: 'soon', fate: fate({ runsOutAfter: ts('2026-11-24T00:00:00'), runsOutBefore: ts('2026-12-01T00:00:00') }), share: 0.5 },
      { id: 'used', fate: fate({ status: BudgetStatus.EXHAUSTED }), share: 1 },
      { id: 'new', fate: fate({}), share: 0 },
    ];
    expect(rows.toSorted(byFate).map((r) => r.id)).toEqual(['used', 'soon', 'late', 'busy', 'track', 'new', 'none']);
  });
});
