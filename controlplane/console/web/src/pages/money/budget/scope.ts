// What a budget is on, as usage is filtered by it.

import { UsageDimension } from '@/gen/tollgate/control/v1/usage_pb';
import type { Scope } from '../budgets/facts';

const of = {
  team: UsageDimension.TEAM,
  key: UsageDimension.KEY,
  endpoint: UsageDimension.ENDPOINT,
  customer: UsageDimension.CUSTOMER,
  tag: UsageDimension.TAG,
} as const;

export const usageFilters = (s: Scope) => (s.kind === 'everything' ? [] : [{ of: of[s.kind], values: [s.name] }]);

/** The same for the address of the usage page. */
export const usageSearch = (s: Scope): Record<string, unknown> => (s.kind === 'everything' ? {} : { [s.kind]: [s.name] });
