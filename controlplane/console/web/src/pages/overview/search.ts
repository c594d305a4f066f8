// Parameters of the first page's address.

import { oneOf, text } from '@/lib/search';

export const overview = { from: text, to: text, group: oneOf('endpoint', 'key', 'team') };
