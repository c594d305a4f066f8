import { beforeEach, describe, expect, it } from 'vitest';
import { Enforcement, Period } from '@/gen/tollgate/control/v1/budget_pb';
import { blank, type Draft, keep, nameFor, restore, toBudget } from './draft';

const draft = (more: Partial<Draft> = {}): Draft => ({ ...blank('Europe/Berlin'), scope: { kind: 'team', name: 'search' }, amount: 1n, ...more });

describe('a new budget', () => {
  beforeEach(() => sessionStorage.clear());

  it('is called by what it is on and how often, unless it is named', () => {
    expect(nameFor(draft())).toBe('search-month');
    expect(nameFor(draft({ scope: { kind: 'everything', name: '' }, period: Period.DAY }))).toBe('everything-day');
    expect(nameFor(draft({ scope: { kind: 'customer', name: '@ACME Inc.' } }))).toBe('acme-inc.-month');
    expect(nameFor(draft({ scope: { kind: 'key', name: '' } }))).toBe('');
    expect(nameFor(draft({ scope: { kind: 'tag', name: 'x'.repeat(200) } })).length).toBe(63);
    expect(toBudget(draft({ name: 'mine', named: true })).name).toBe('mine');
  });

  it('sends what belongs to its kind only', () => {
    const hard = toBudget(draft({ overdraft: 5n }));
    expect(hard).toMatchObject({ enforcement: Enforcement.HARD, rollingDays: 0, timeZone: 'Europe/Berlin', scope: { case: 'team', value: 'search' } });
    expect(hard).not.toHaveProperty('overdraft');
    expect(toBudget(draft({ soft: true, overdraft: 5_000_000_000n })).overdraft).toMatchObject({ units: 5n });
    expect(toBudget(draft({ period: Period.ROLLING, days: 7 })).rollingDays).toBe(7);
    expect(toBudget(draft({ scope: { kind: 'everything', name: '' } })).scope).toEqual({ case: 'everything', value: true });
  });

  it('is there again after its drawer was closed, to the last nano-dollar', () => {
    const d = draft({ amount: 9_007_199_254_740_993n, soft: true, overdraft: 1n, warn: [90] });
    keep(d);
    expect(restore('UTC')).toEqual(d);
    keep(undefined);
    expect(restore('UTC')).toEqual(blank('UTC'));
    sessionStorage.setItem('tollgate-draft-budget', '{');
    expect(restore('UTC')).toEqual(blank('UTC'));
  });
});
