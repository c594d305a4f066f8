// Words of the console are kept in catalogues, one for each area, whose parameters the compiler checks. Plurals follow the
// language's rules, and a made-up language shows which words are not in a catalogue and what breaks when words are long.

import { createElement, Fragment, type ReactNode } from 'react';

type Entry = string | { one: string; other: string };
type Names<S> = S extends `${string}{${infer P}}${infer R}` ? P | Names<R> : never;
type NamesOf<E> = E extends string ? Names<E> : E extends { one: infer A; other: infer B } ? Names<A> | Names<B> : never;
type Params<E, V> = [NamesOf<E>] extends [never] ? [] : [{ [K in NamesOf<E>]: V }];

export interface Translate<C extends Record<string, Entry>> {
  <K extends keyof C & string>(key: K, ...params: Params<C[K], string | number | bigint>): string;
  /** The same with elements for parameters. */
  rich<K extends keyof C & string>(key: K, ...params: Params<C[K], ReactNode>): ReactNode;
  has(key: string): key is keyof C & string;
}

export const language = 'en';
/** Whether words are shown in the made-up language; `?locale=en-XA` switches it on for this tab. */
export const pseudo = (() => {
  try {
    const asked = new URLSearchParams(location.search).get('locale');
    if (asked) sessionStorage.setItem('tollgate-locale', asked);
    return sessionStorage.getItem('tollgate-locale') === 'en-XA';
  } catch {
    return false;
  }
})();

const plurals = new Intl.PluralRules(language);
const accents: Record<string, string> = { a: 'á', e: 'é', i: 'í', o: 'ó', u: 'ú', A: 'Á', E: 'É', I: 'Í', O: 'Ó', U: 'Ú', c: 'ç', n: 'ñ', y: 'ý' };

export function pseudoText(text: string): string {
  const accented = text.replace(/[aeiouAEIOUcny]/g, (c) => accents[c] ?? c);
  return `[${accented}${'·'.repeat(Math.ceil(text.length * 0.4))}]`;
}

function pick(entry: Entry, n: unknown): string {
  if (typeof entry === 'string') return entry;
  const rule = typeof n === 'number' || typeof n === 'bigint' ? plurals.select(Number(n)) : 'other';
  return rule === 'one' ? entry.one : entry.other;
}

function parts(text: string): { text: string; name?: string }[] {
  const out: { text: string; name?: string }[] = [];
  let at = 0;
  for (const m of text.matchAll(/\{(\w+)\}/g)) {
    if (m.index > at) out.push({ text: text.slice(at, m.index) });
    out.push({ text: m[0], name: m[1]! });
    at = m.index + m[0].length;
  }
  if (at < text.length) out.push({ text: text.slice(at) });
  return out.map((p) => (p.name || !pseudo ? p : { ...p, text: pseudoText(p.text) }));
}

/** Makes a catalogue. Of a plural, the parameter `n` decides which form is taken. */
export function catalogue<const C extends Record<string, Entry>>(entries: C): Translate<C> {
  const t = ((key: keyof C & string, params: Record<string, unknown> = {}) =>
    parts(pick(entries[key]!, params.n))
      .map((p) => (p.name ? String(typeof params[p.name] === 'number' ? count(params[p.name] as number) : params[p.name]) : p.text))
      .join('')) as unknown as Translate<C>;
  t.rich = ((key: keyof C & string, params: Record<string, ReactNode> = {}) =>
    createElement(
      Fragment,
      null,
      ...parts(pick(entries[key]!, params.n)).map((p) => (p.name ? params[p.name] : p.text)),
    )) as unknown as Translate<C>['rich'];
  t.has = ((key: string) => Object.hasOwn(entries, key)) as Translate<C>['has'];
  return t;
}

const counts = new Intl.NumberFormat(language);
const compact = new Intl.NumberFormat(language, { notation: 'compact', maximumFractionDigits: 1 });

/** A count of things as a number: there are never so many that digits are lost. */
export const whole = (n: bigint) => Number(n);

/** A count with separators: 128,402. */
export const count = (n: number | bigint) => counts.format(n);
/** A count that is short: 128K. */
export const shortCount = (n: number | bigint) => compact.format(n);
/** A share of 0 to 1 as percent; what is not nothing never reads as nothing. */
export function percent(share: number): string {
  if (share > 0 && share < 0.0001) return '< 0.01 %';
  const digits = share < 0.1 ? 2 : share < 0.9995 ? 1 : 0;
  return `${(share * 100).toLocaleString(language, { maximumFractionDigits: digits })} %`;
}

const lists = new Intl.ListFormat(language, { type: 'conjunction' });
/** Names as a list: a, b, and c. */
export const list = (names: string[]) => lists.format(names);
