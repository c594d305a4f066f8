// Parameters of these pages' addresses.

import { flag, oneOf, text, words } from '@/lib/search';

/** How requests are selected. A value of a list begins with "!" where it is left out. */
export const selection = {
  q: text,
  status: words,
  endpoint: words,
  key: words,
  team: words,
  method: words,
  edge: words,
  cost: text,
  slow: text,
};

export const list = { live: flag, all: flag, from: text, to: text, ...selection, sel: text, tab: text };
export const one = { tab: oneOf('explain') };
