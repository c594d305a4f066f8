// Parameters of these pages' addresses.

import { text } from '@/lib/search';

export const list = { q: text, kind: text, via: text, actor: text, object: text, from: text, to: text, sel: text };
export const one = {};
