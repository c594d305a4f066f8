// Paths into documents, as meters write them.

import type { Path } from '@/components/JsonTree';

const plain = /[A-Za-z0-9_:\u0080-\u{10ffff}-]/u;

/** A path of names and places as a meter reads it: what else would mean something in a path is marked by a backslash. */
export function meterPath(path: Path): string {
  return path.map((step) => (typeof step === 'number' ? String(step) : [...step].map((c) => (plain.test(c) ? c : `\\${c}`)).join(''))).join('.');
}

/** A name for what a path leads to, of the characters that names of counters have; not one of those that are taken. */
export function nameOf(path: Path, taken: Iterable<string>): string {
  const last = path.findLast((s) => typeof s === 'string') ?? 'count';
  const words = String(last)
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .replace(/[^a-z0-9_]+/g, '_')
    .replace(/^[^a-z]+|_+$/g, '');
  return unused(words.slice(0, 28) || 'count', taken);
}

/** The name, with a number behind it if it is taken. */
export function unused(name: string, taken: Iterable<string>): string {
  const all = new Set(taken);
  if (!all.has(name)) return name;
  for (let i = 2; ; i++) if (!all.has(`${name}_${i}`)) return `${name}_${i}`;
}
