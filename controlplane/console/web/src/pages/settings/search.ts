// Parameters of these pages' addresses.

import { flag, text, words } from '@/lib/search';

export const section = { q: text, sel: text, new: flag, kinds: words };
