// Money is a count of nano-dollars in a bigint, from the wire to the screen. It becomes a number only to be drawn.

import { create } from '@bufbuild/protobuf';
import { type Money, MoneySchema } from '@/gen/google/type/money_pb';

export type { Money };

const billion = 1_000_000_000n;
/** One dollar in nano-dollars. */
export const dollar = billion;

/** Nano-dollars of an amount on the wire; nothing counts as zero. */
export function nanos(m: Money | undefined): bigint {
  return m ? m.units * billion + BigInt(m.nanos) : 0n;
}

/** The amount on the wire. */
export function money(n: bigint): Money {
  return create(MoneySchema, { currencyCode: 'USD', units: n / billion, nanos: Number(n % billion) });
}

const whole = new Intl.NumberFormat('en');

/** All digits that are not zero, and at least two: $1,204.00, $0.0004. */
export function exact(n: bigint): string {
  const abs = n < 0n ? -n : n;
  const fraction = (abs % billion).toString().padStart(9, '0').replace(/0+$/, '').padEnd(2, '0');
  return `${n < 0n ? '−' : ''}$${whole.format(abs / billion)}.${fraction}`;
}

/** Two decimals from a dollar up, six significant digits below, and never $0.00 for what is not nothing. */
export function short(n: bigint): string {
  const abs = n < 0n ? -n : n;
  if (abs === 0n) return '$0.00';
  if (abs >= billion) {
    const cents = (abs + 5_000_000n) / 10_000_000n;
    return `${n < 0n ? '−' : ''}$${whole.format(cents / 100n)}.${(cents % 100n).toString().padStart(2, '0')}`;
  }
  const digits = abs.toString().padStart(9, '0');
  const first = digits.search(/[1-9]/);
  const keep = Math.max(first + 6, 2);
  const scale = 10n ** BigInt(Math.max(9 - keep, 0));
  const rounded = ((abs + scale / 2n) / scale) * scale;
  return exact(n < 0n ? -rounded : rounded);
}

/** Without cents where they say little: $1,204, $12.5K. For axes and chips. */
export function brief(n: bigint): string {
  const abs = n < 0n ? -n : n;
  if (abs < 1000n * billion) return short(n).replace(/\.00$/, '');
  return `${n < 0n ? '−' : ''}$${new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 }).format(abs / billion)}`;
}

export type Parsed = { ok: true; nanos: bigint } | { ok: false; code: 'price_syntax' | 'price_precision' | 'price_negative' | 'price_range' };

/** Reads what a person typed: 12, $1,200.50, .0004. */
export function parse(text: string): Parsed {
  const cleaned = text.trim().replace(/^\$/, '').replace(/(?<=\d),(?=\d{3}(\D|$))/g, '').trim();
  if (/^[-−]/.test(cleaned)) return { ok: false, code: 'price_negative' };
  const m = /^(\d*)(?:\.(\d*))?$/.exec(cleaned);
  if (!m || (!m[1] && !m[2])) return { ok: false, code: 'price_syntax' };
  const fraction = (m[2] ?? '').replace(/0+$/, '');
  if (fraction.length > 9) return { ok: false, code: 'price_precision' };
  const n = BigInt(m[1] || '0') * billion + BigInt(fraction.padEnd(9, '0'));
  if (n > 9_000_000_000n * billion) return { ok: false, code: 'price_range' };
  return { ok: true, nanos: n };
}

/** Text for a field in which an amount is edited: 12.00, 0.0004. */
export const editable = (n: bigint) => exact(n).replace(/[$,]/g, '').replace('−', '-');

/** An amount as a number of dollars, to draw it. Digits are lost: it must not be shown or sent. */
export const drawn = (n: bigint) => Number(n) / 1e9;

/** The share of part in all, from 0, to draw or to say as percent. */
export const shareOf = (part: bigint, all: bigint) => (all > 0n ? Number((part * 1_000_000n) / all) / 1e6 : 0);
