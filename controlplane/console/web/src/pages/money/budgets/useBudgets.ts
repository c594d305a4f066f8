import { useInfiniteQuery } from '@connectrpc/connect-query';
import { keepPreviousData } from '@tanstack/react-query';
import { useEffect, useMemo } from 'react';
import { type Budget, BudgetService, type BudgetState } from '@/gen/tollgate/control/v1/budget_pb';

const pageSize = 1000;
const every = 15_000;

export interface Held {
  budget: Budget;
  state: BudgetState | undefined;
}

/** All budgets with their states. Who runs out first is known only of all of them, so every page is read. */
export function useBudgets(filter: string) {
  const query = useInfiniteQuery(
    BudgetService.method.listBudgets,
    { filter, pageSize, withStates: true, pageToken: '' },
    { pageParamKey: 'pageToken', getNextPageParam: (last) => last.nextPageToken || undefined, placeholderData: keepPreviousData, refetchInterval: every },
  );
  const { hasNextPage, isFetching, fetchNextPage, error } = query;
  useEffect(() => {
    if (hasNextPage && !isFetching && !error) void fetchNextPage();
  }, [hasNextPage, isFetching, fetchNextPage, error]);
  const rows = useMemo<Held[]>(() => {
    const all = query.data?.pages.flatMap((p) => {
      const states = new Map(p.states.map((s) => [s.budgetId, s]));
      return p.budgets.map((budget) => ({ budget, state: states.get(budget.id) }));
    });
    return all ?? [];
  }, [query.data]);
  return { query, rows, missing: query.data?.pages.find((p) => p.statesMissing)?.statesMissing };
}
