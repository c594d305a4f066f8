import { describe, expect, it } from 'vitest';
import { dollar } from '@/lib/money';
import { warningsOf } from './warnings';

const codes = (limit: bigint | undefined, more: Partial<Parameters<typeof warningsOf>[1]> = {}) =>
  warningsOf(limit, { soft: false, spent: 42n * dollar + 100_000_000n, period: 'month', ...more }).map((w) => w.code + (w.confirm ? '!' : ''));

describe('what is said of a limit before it is saved', () => {
  it('warns of nothing, of less than is spent, and of less than one request costs', () => {
    expect(codes(0n)).toEqual(['budget_zero!']);
    expect(codes(40n * dollar)).toEqual(['budget_below_spent!']);
    expect(codes(42n * dollar + 100_000_000n)).toEqual(['budget_below_spent!']);
    expect(codes(42n * dollar + 100_000_001n)).toEqual([]);
    expect(codes(5n * dollar, { spent: 0n, price: 12n * dollar, priceOf: 'bria' })).toEqual(['budget_below_price']);
    expect(codes(12n * dollar, { spent: 0n, price: 12n * dollar })).toEqual([]);
    expect(codes(undefined)).toEqual([]);
  });

  it('asks for no confirmation where nothing is refused', () => {
    expect(codes(40n * dollar, { soft: true })).toEqual(['budget_below_spent']);
    expect(codes(0n, { soft: true })).toEqual(['budget_zero']);
  });

  it('says both amounts', () => {
    expect(warningsOf(40n * dollar, { soft: false, spent: 42n * dollar + 100_000_000n, period: 'month' })[0]!.text).toBe('Already spent $42.10 this month. A limit of $40.00 refuses requests at once.');
  });
});
