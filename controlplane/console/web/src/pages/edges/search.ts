// Parameters of these pages' addresses.

import { flag, text } from '@/lib/search';

export const list = { sel: text, gone: flag };
export const one = {};
