// What is done to a budget from its row and from its page.

import { createConnectQueryKey } from '@connectrpc/connect-query';
import { notifications } from '@mantine/notifications';
import { clientOf, queryClient, refresh } from '@/api/client';
import { transport, override } from '@/api/transport';
import { type Budget, BudgetService } from '@/gen/tollgate/control/v1/budget_pb';
import { OverviewService } from '@/gen/tollgate/control/v1/overview_pb';
import { exact, money, nanos } from '@/lib/money';
import { t } from '@/text/money';

export const calls = clientOf(BudgetService);
export const headersFor = (b: Budget) => ({ headers: b.managedBy ? override : {} });

/** Shows budgets as they are now, once the ledger has what was changed: it hears of it a moment later than it is saved. */
export async function settled(budget: string, has: (limit: bigint, spent: bigint) => boolean): Promise<void> {
  for (let i = 0; i < 20; i++) {
    const { state } = await calls.getBudgetState({ budget });
    if (!state || has(nanos(state.limit), nanos(state.spent))) break;
    await new Promise((next) => setTimeout(next, 100));
  }
  await refresh(BudgetService, OverviewService);
}

/** Adds to a budget, until its period ends or for good. */
export async function raise(b: Budget, by: bigint, untilReset: boolean): Promise<Budget> {
  const there = nanos(b.raise?.by);
  const { budget } = untilReset
    ? await calls.raiseBudget({ budget: b.id, by: money(there + by), end: { case: 'untilReset', value: true }, etag: b.etag }, headersFor(b))
    : await calls.updateBudget({ budget: b.id, amount: money(nanos(b.amount) + by), etag: b.etag }, headersFor(b));
  const limit = nanos(budget!.amount) + nanos(budget!.raise?.by);
  await settled(b.id, (l) => l === limit);
  return budget!;
}

export async function endRaise(b: Budget): Promise<void> {
  await calls.raiseBudget({ budget: b.id, by: money(0n), etag: b.etag }, headersFor(b));
  notifications.show({ message: t('raiseEnded', { name: b.name }), autoClose: 4000 });
  await settled(b.id, (l) => l === nanos(b.amount));
}

export async function reset(b: Budget, spent: bigint): Promise<void> {
  await calls.resetBudget({ budget: b.id, etag: b.etag }, headersFor(b));
  notifications.show({ message: t('resetDone', { name: b.name }), autoClose: 4000 });
  await settled(b.id, (_l, now) => now < spent || spent === 0n);
}

export async function remove(b: Budget): Promise<void> {
  await calls.deleteBudget({ budget: b.id, etag: b.etag }, headersFor(b));
  // What is gone is not asked for again while its page closes.
  const input = { budget: b.id };
  queryClient.removeQueries({ queryKey: createConnectQueryKey({ schema: BudgetService.method.getBudget, input, transport, cardinality: 'finite' }) });
  queryClient.removeQueries({ queryKey: createConnectQueryKey({ schema: BudgetService.method.getBudgetState, input, transport, cardinality: 'finite' }) });
  notifications.show({ message: t('deleted', { name: b.name }), autoClose: 4000 });
  await refresh(BudgetService, OverviewService);
}

export const limitTold = (b: Budget) => exact(nanos(b.amount) + nanos(b.raise?.by));
