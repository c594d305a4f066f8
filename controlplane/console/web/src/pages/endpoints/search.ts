// Parameters of these pages' addresses.

import { flag, text } from '@/lib/search';

export const list = { q: text, sort: text, path: text };
export const create = { template: text, from: text, curl: text, path: text };
export const one = { sel: text, try: text, from: text, to: text, live: flag, new: flag, q: text, tab: text };
