// Credentials that were typed or pasted and of which it is not decided yet where they belong. They are in memory and nowhere
// else: not in the draft, not in a preview, not in the page.

import { type Credential, credentialIn } from './credential';
import { parts, type Ref, write } from './value';

const kept = new Map<string, string>();
const plain = new Set<string>();
let next = 0;

/** The value with its credential taken out of it; the value itself if there is none, or if it is to stay. */
export function hold(value: string, name: string): string {
  const found: Credential | undefined = credentialIn(value, name);
  if (!found || plain.has(found.secret)) return value;
  const id = String(++next);
  kept.set(id, found.secret);
  return found.before + write({ kind: 'held', name: id });
}

/** The credential that a value has in it; undefined for none. */
export const heldIn = (value: string): Ref | undefined => parts(value).find((p): p is Ref => typeof p !== 'string' && p.kind === 'held');

export const secretOf = (ref: Ref): string | undefined => kept.get(ref.name);

/** Puts something in the place of a credential, and forgets it. */
export function settle(value: string, ref: Ref, by: string): string {
  kept.delete(ref.name);
  return value.replace(write(ref), () => by);
}

/** The value with its credential, which is from now on text like any other. */
export function asText(value: string, ref: Ref): string {
  const secret = kept.get(ref.name) ?? '';
  plain.add(secret);
  return settle(value, ref, secret);
}

/** The value as others may see it. */
export const veiled = (value: string, by = '') =>
  parts(value)
    .map((p) => (typeof p === 'string' ? p : p.kind === 'held' ? by : write(p)))
    .join('');

/** Forgets all of them, when the page goes. */
export function forget(): void {
  kept.clear();
  plain.clear();
}
