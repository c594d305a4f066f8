// A new budget that is being written. It outlives its drawer, so that nothing typed is lost.

import { Enforcement, Period } from '@/gen/tollgate/control/v1/budget_pb';
import { money } from '@/lib/money';
import { type Scope, scopeInput, periodName } from './facts';

export interface Draft {
  scope: Scope;
  name: string;
  /** Whether the name was typed; one that was not follows the scope. */
  named: boolean;
  /** Nano-dollars. */
  amount: bigint | undefined;
  period: Period;
  days: number;
  timeZone: string;
  soft: boolean;
  overdraft: bigint | undefined;
  warn: number[];
}

export const blank = (timeZone: string): Draft => ({
  scope: { kind: 'team', name: '' },
  name: '',
  named: false,
  amount: undefined,
  period: Period.MONTH,
  days: 30,
  timeZone,
  soft: false,
  overdraft: undefined,
  warn: [50, 80, 100],
});

/** A name for a budget that has none: what it is on, and how often. */
export function nameFor(d: Pick<Draft, 'scope' | 'period'>): string {
  const on = d.scope.kind === 'everything' ? 'everything' : d.scope.name;
  if (!on) return '';
  return `${on}-${periodName(d.period)}`
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, 63)
    .replace(/[^a-z0-9]+$/, '');
}

export const nameOf = (d: Draft) => (d.named ? d.name.trim() : nameFor(d));

export function toBudget(d: Draft) {
  return {
    name: nameOf(d),
    scope: scopeInput({ ...d.scope, name: d.scope.name.trim() }),
    amount: d.amount === undefined ? undefined : money(d.amount),
    period: d.period,
    rollingDays: d.period === Period.ROLLING ? d.days : 0,
    timeZone: d.timeZone,
    enforcement: d.soft ? Enforcement.SOFT : Enforcement.HARD,
    ...(d.soft && d.overdraft !== undefined ? { overdraft: money(d.overdraft) } : {}),
    warnPercents: d.warn,
  };
}

const key = 'tollgate-draft-budget';

/** What was typed before, with amounts as texts: JSON has no such numbers. */
export function restore(timeZone: string): Draft {
  try {
    const text = sessionStorage.getItem(key);
    if (!text) return blank(timeZone);
    const d = JSON.parse(text) as Omit<Draft, 'amount' | 'overdraft'> & { amount?: string; overdraft?: string };
    return { ...blank(timeZone), ...d, amount: d.amount === undefined ? undefined : BigInt(d.amount), overdraft: d.overdraft === undefined ? undefined : BigInt(d.overdraft) };
  } catch {
    return blank(timeZone);
  }
}

export function keep(d: Draft | undefined): void {
  try {
    if (d) sessionStorage.setItem(key, JSON.stringify({ ...d, amount: d.amount?.toString(), overdraft: d.overdraft?.toString() }));
    else sessionStorage.removeItem(key);
  } catch {
    // Storage may be off or full.
  }
}
