// Parameters of these pages' addresses.

import { oneOf, text } from '@/lib/search';

export const keys = { q: text, sort: text, sel: text, team: text };
export const key = { from: text, to: text, sel: text };
export const teams = { q: text, sort: text, sel: text, tab: oneOf('customers', 'tags') };
export const team = { from: text, to: text, sel: text, q: text, sort: text };
export const secrets = { q: text, sort: text, sel: text };
export const secret = { sel: text };
