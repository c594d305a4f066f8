// What the server says is wrong with a price, by the field of the editor.

import type { Problem, Violation } from '@/api/errors';

const strip = (field: string) => field.replace(/^.*?\bprice\.?/, '');

/** What is wrong with one field of the price, "fixed.per_request", or with what is below it; the texts together. */
export function wrongWith(problem: Pick<Problem, 'violations'> | undefined, field: string, below = false): string | undefined {
  const of = (v: Violation) => {
    if (!/\bprice\b/.test(v.field)) return false;
    const own = strip(v.field);
    return own === field || (below && (own.startsWith(`${field}.`) || own.startsWith(`${field}[`)));
  };
  const texts = (problem?.violations ?? []).filter(of).map((v) => v.text.replace(/^[\w.[\]]+: /, ''));
  return texts.length ? [...new Set(texts)].map(sentence).join(' ') : undefined;
}

const sentence = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
