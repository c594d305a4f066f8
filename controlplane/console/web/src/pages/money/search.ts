// Parameters of these pages' addresses.

import { flag, oneOf, text, words } from '@/lib/search';

export const budgets = { q: text, sort: text, scope: words, tab: oneOf('limits'), sel: text };
export const budget = { sel: text };
/** By what usage can be filtered. A value of a list begins with "!" where it is left out. */
export const usageFilters = { endpoint: words, key: words, team: words, customer: words, tag: words, model: words, edge: words, status: words };
export const usage = { from: text, to: text, group: text, metric: text, bucket: text, chart: text, compare: oneOf('0'), only: words, all: flag, ...usageFilters };
