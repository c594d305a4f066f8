// Parameters of these pages' addresses.

import { flag, text } from '@/lib/search';

export const login = { next: text, ended: flag, error: text };
export const device = { code: text };
