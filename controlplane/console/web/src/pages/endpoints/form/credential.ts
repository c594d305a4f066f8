// Whether a text looks like a credential, so that it can be offered to be kept as a secret.

import { refs } from './value';

/** How credentials of vendors begin. */
const known =
  /^(sk-|sk_|rk_|pk_live|pat_|ghp_|gho_|ghs_|github_pat_|glpat-|xox[abpors]-|AKIA|ASIA|AIza|ya29\.|eyJ[\w-]+\.|hf_|gsk_|r8_|SG\.|dop_v1_|npm_|pypi-|key-|api-|xai-|pplx-|jina_|nvapi-|tgk_|tgt_|tga_|sq0|shpat_|lin_api_|figd_|secret_|ntn_)/;
/** Words before a credential that say how it is presented. */
const scheme = /^(bearer|basic|token|apikey|api-key|key|digest)\s+/i;
/** Names of headers and parameters that carry credentials. */
const carries = /(^|[-_.])(api[-_]?key|apikey|key|token|secret|authorization|auth|password|passwd|pwd|credentials?|signature)$/i;
const shape = /^[\w+/=.~:-]+$/;

export const carriesCredential = (name: string) => carries.test(name.trim());

/** Bits of a character of a text: 0 for one that repeats a character, near 6 for chance. */
export function entropy(text: string): number {
  const counts = new Map<string, number>();
  for (const c of text) counts.set(c, (counts.get(c) ?? 0) + 1);
  let bits = 0;
  for (const n of counts.values()) bits -= (n / text.length) * Math.log2(n / text.length);
  return bits;
}

export interface Credential {
  /** What stands before it: "Bearer ". */
  before: string;
  secret: string;
}

/** The credential in a text that is given to a header or a parameter; undefined if there seems to be none. */
export function credentialIn(text: string, name: string): Credential | undefined {
  const value = text.trim();
  if (!value || refs(value).length || /os\.environ\//.test(value)) return undefined;
  const before = scheme.exec(value)?.[0] ?? '';
  const secret = value.slice(before.length);
  // What a shell or a page of docs has in place of a credential is none.
  if (/^(\$\{?\w+\}?|<.*>|\{+.*\}+|\[.*\]|\*+|x{4,}|your[-_ ].*|.*\.\.\.)$/i.test(secret)) return undefined;
  if (before) return secret.length >= 6 && shape.test(secret) ? { before, secret } : undefined;
  if (!shape.test(secret)) return undefined;
  if (known.test(secret) && secret.length >= 12) return { before, secret };
  if (carriesCredential(name)) return secret.length >= 6 ? { before, secret } : undefined;
  return secret.length >= 20 && random(secret) ? { before, secret } : undefined;
}

// Long, of letters and digits, and not made of words: what a person writes repeats itself more.
function random(text: string): boolean {
  if (/^https?:|^[\d.:-]+$|\/.*\/|^[a-z]+\/[\w.+-]+$/i.test(text) || !/\d/.test(text) || !/[a-z]/i.test(text)) return false;
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) return false;
  const words = text.split(/[-_.:]/);
  if (words.length > 2 && words.every((w) => w.length < 12)) return false;
  return entropy(text) >= (/^[0-9a-f]+$/i.test(text) ? 3 : 3.5);
}

/** A name for the secret of an endpoint's header: "bria-api-token". */
export function secretName(endpoint: string, header: string, taken: ReadonlySet<string> = new Set()): string {
  const part = header.toLowerCase().replace(/^x-/, '').replace(/^(proxy-)?authorization$/, 'token').replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '');
  const start = endpoint.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '');
  const name = (part.startsWith(`${start}-`) || !start ? part || 'secret' : [start, part].filter(Boolean).join('-')).slice(0, 56).replace(/-+$/, '');
  if (!taken.has(name)) return name;
  for (let n = 2; ; n++) if (!taken.has(`${name}-${n}`)) return `${name}-${n}`;
}
