import { catalogue } from '@/lib/text';

/** Words of fields for amounts. */
export const t = catalogue({
  price_syntax: 'Enter an amount in dollars, for example 12.00.',
  price_precision: 'Up to 9 decimals.',
  price_negative: 'Enter 0 or more.',
  price_range: 'That is more than any request can cost.',
});
