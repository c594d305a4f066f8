import { useQuery } from '@connectrpc/connect-query';
import { useCallback, useEffect, useRef } from 'react';
import { clientOf, refresh } from '@/api/client';
import { problemOf } from '@/api/errors';
import { Permission, useCaller } from '@/api/caller';
import { type Budget, BudgetService, type BudgetState, Enforcement, Period } from '@/gen/tollgate/control/v1/budget_pb';
import { KeyService } from '@/gen/tollgate/control/v1/key_pb';
import { UsageService } from '@/gen/tollgate/control/v1/usage_pb';
import { dollar, money, nanos } from '@/lib/money';
import { consoleKey } from './draft';

export interface Purse {
  budget: Budget;
  state: BudgetState;
}

const usualLimit = 100n * dollar;
/** Below so many requests the usual limit is too little to try something, and ten of them are allowed. */
const few = 5n;
/** What console-test may spend a day: so much, or ten of what is tried where that buys only a few. */
export const limitFor = (price: bigint | undefined) => ((price ?? 0n) * few > usualLimit ? price! * 10n : usualLimit);

/** How long a charge may take until the ledger has it. */
const looks = [0, 300, 900, 2000, 4000];

/** The key that pays, what is left of its budgets, and what the endpoint has cost today. */
export function useWallet(endpoint: string, key: string) {
  const { may } = useCaller();
  const money_ = may(Permission.MONEY_READ);
  const found = useQuery(KeyService.method.getKey, { key }, { enabled: key !== '' && may(Permission.KEYS_READ), retry: false });
  const absent = found.error ? problemOf(found.error).code === 'not_found' : false;
  const team = found.data?.key?.team ?? '';
  const ofKey = useQuery(BudgetService.method.listBudgets, { filter: `key:"${key}"`, withStates: true }, { enabled: money_ && key !== '' && !absent, retry: false });
  const ofTeam = useQuery(BudgetService.method.listBudgets, { filter: `team:"${team}"`, withStates: true }, { enabled: money_ && team !== '', retry: false });
  const today = new Date().toISOString().slice(0, 10);
  const usage = useQuery(UsageService.method.queryUsage, { endpoint, fromDay: today, toDay: today }, { enabled: money_, retry: false });

  const purses: Purse[] = [ofKey, ofTeam].flatMap((q) => q.data?.budgets.flatMap((budget, i) => (q.data.states[i] ? [{ budget, state: q.data.states[i]! }] : [])) ?? []);
  const hard = purses.filter((p) => p.budget.enforcement !== Enforcement.SOFT).map((p) => nanos(p.state.remaining));
  const left = hard.length ? hard.reduce((a, b) => (a < b ? a : b)) : undefined;

  const timers = useRef<ReturnType<typeof setTimeout>[]>([]);
  const stop = () => timers.current.splice(0).forEach(clearTimeout);
  useEffect(() => stop, []);
  /** Looks again until the ledger has what was just charged. */
  const settle = useCallback(() => {
    stop();
    timers.current = looks.map((ms) => setTimeout(() => void refresh(BudgetService, UsageService), ms));
  }, []);
  return { absent, purses, left, spent: nanos(usage.data?.total?.cost), requests: usage.data?.total?.requests ?? 0n, asOf: usage.data?.asOf, settle };
}

/** Makes the key of the console, with a budget that it cannot exceed. */
export async function makeConsoleKey(price: bigint | undefined): Promise<void> {
  try {
    await clientOf(KeyService).createKey({ name: consoleKey, tags: ['console'], description: 'Requests that are tried in the console' });
  } catch (err) {
    if (problemOf(err).code !== 'already_exists') throw err;
  }
  try {
    await clientOf(BudgetService).createBudget({
      budget: { name: consoleKey, scope: { case: 'key', value: consoleKey }, amount: money(limitFor(price)), period: Period.DAY, enforcement: Enforcement.HARD },
    });
  } catch (err) {
    if (problemOf(err).code !== 'already_exists') throw err;
  }
  void refresh(KeyService, BudgetService);
}
