import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { type Budget, BudgetSchema, BudgetStateSchema, BudgetStatus, Enforcement, Period } from '@/gen/tollgate/control/v1/budget_pb';
import { KeySchema, KeyStatus } from '@/gen/tollgate/control/v1/key_pb';
import { dollar, money } from '@/lib/money';
import { limitedBy } from '../LimitsPanel';
import { csv, effective, envFile, masked, type Purse, purses, snippet, stateOf, tightest } from './facts';

const scopes: Record<string, Budget['scope']> = { key: { case: 'key', value: 'ci' }, team: { case: 'team', value: 'ops' }, all: { case: 'everything', value: true }, tag: { case: 'tag', value: 'batch' } };

function purse(name: string, limit: bigint, spent: bigint, more: { soft?: boolean; status?: BudgetStatus; unknown?: boolean } = {}): Purse {
  const budget = create(BudgetSchema, { id: `bud_${name}`, name, scope: scopes[name]!, amount: money(limit), period: Period.MONTH, enforcement: more.soft ? Enforcement.SOFT : Enforcement.HARD });
  if (more.unknown) return { budget, state: undefined };
  return { budget, state: create(BudgetStateSchema, { budgetId: budget.id, limit: money(limit), spent: money(spent), remaining: money(limit - spent), status: more.status ?? BudgetStatus.OK }) };
}

describe('what bounds a key', () => {
  it('is told tightest first, to the cent, and by what it is on', () => {
    const all = [purse('all', 6000n * dollar, 4182n * dollar), purse('team', 500n * dollar, 87_700_000_000n), purse('key', 60n * dollar, 54_100_000_000n)];
    expect(limitedBy(effective(all))).toBe('This key is limited by: key $5.90 left · team $412.30 left · global $1,818.00 left. Tightest: key.');
  });

  it('is not a soft budget, and not one whose state is unknown', () => {
    const all = [purse('key', dollar, dollar, { soft: true }), purse('team', dollar, 0n, { unknown: true }), purse('tag', 9n * dollar, 0n)];
    expect(effective(all).map((l) => l.budget.name)).toEqual(['tag']);
    expect(limitedBy(effective(all))).toContain('Tightest: tag batch.');
    expect(limitedBy([])).toBe('');
  });

  it('may be less than nothing', () => {
    expect(effective([purse('key', dollar, 3n * dollar), purse('team', dollar, 2n * dollar)]).map((l) => l.left)).toEqual([-2n * dollar, -dollar]);
  });
});

describe('the budget of a row', () => {
  it('is the one of which the least share is left, not the least money', () => {
    expect(tightest([purse('key', 10n * dollar, dollar), purse('team', 1000n * dollar, 980n * dollar)])?.budget.name).toBe('team');
    expect(tightest([purse('team', 1000n * dollar, 980n * dollar), purse('key', 10n * dollar, dollar)])?.budget.name).toBe('team');
  });

  it('is there without a state, and not there without a budget', () => {
    expect(tightest([purse('key', dollar, 0n, { unknown: true })])?.budget.name).toBe('key');
    expect(tightest([])).toBeUndefined();
  });

  it('finds its state by its id, also where states are fewer', () => {
    const [a, b] = [purse('key', dollar, 0n), purse('team', dollar, 0n)];
    const joined = purses({ budgets: [a!.budget, b!.budget], states: [b!.state!] });
    expect(joined.map((p) => p.state?.budgetId)).toEqual([undefined, 'bud_team']);
  });
});

describe('how a key is', () => {
  const key = (status: KeyStatus) => create(KeySchema, { status });
  const empty = [purse('key', dollar, dollar, { status: BudgetStatus.EXHAUSTED })];
  it('is refused where a hard budget is used up, but not where a soft one is', () => {
    expect(stateOf(key(KeyStatus.ACTIVE), empty)).toBe('used_up');
    expect(stateOf(key(KeyStatus.ROTATING), empty)).toBe('used_up');
    expect(stateOf(key(KeyStatus.ACTIVE), [purse('key', dollar, dollar, { soft: true, status: BudgetStatus.EXHAUSTED })])).toBe('active');
  });
  it('is ended whatever its budget says', () => {
    expect(stateOf(key(KeyStatus.REVOKED), empty)).toBe('revoked');
    expect(stateOf(key(KeyStatus.BLOCKED), empty)).toBe('blocked');
  });
});

describe('what a key is handed over as', () => {
  const secret = 'tgk_abcDEF-123_456';
  it('is a file that programs read', () => {
    expect(envFile('https://gw.example.com', secret)).toBe(`TOLLGATE_URL=https://gw.example.com\nTOLLGATE_KEY=${secret}\n`);
  });
  it('is a request in each language, with the address and the key', () => {
    for (const language of ['curl', 'python', 'javascript'] as const) {
      const code = snippet(language, 'http://localhost:4000/bria', secret);
      expect(code).toContain('http://localhost:4000/bria');
      expect(code).toContain(`Bearer ${secret}`);
    }
    expect(snippet('curl', "http://h/it's", secret)).toContain(`'http://h/it'\\''s'`);
  });
  it('is recognised by its ends only', () => {
    expect(masked({ prefix: 'tgk_zMfE', suffix: 'a1B2' })).toBe('tgk_…a1B2');
    expect(masked({ prefix: '', suffix: '' })).toBe('');
  });
});

it('a file of keys quotes what has to be, and holds no formula', () => {
  expect(csv(['name', 'note'], [['a,b', 'say "hi"'], ['=1+1', '-2']])).toBe(`name,note\r\n"a,b","say ""hi"""\r\n'=1+1,'-2\r\n`);
});
