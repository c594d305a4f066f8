// Values of headers and parameters: text, with references to secrets and to environment variables of edges in it.

export interface Ref {
  /** What it names; "held" is a credential that only this page has, until it is decided where it belongs. */
  kind: 'secret' | 'env' | 'held';
  name: string;
}

/** A part of a value: text, or a reference. */
export type Part = string | Ref;

// "$${" stands for the text "${".
const reference = /(?<!\$)\$\{(secret|env|held):([^}]*)\}/g;

export const write = (r: Ref) => `\${${r.kind}:${r.name}}`;

/** Text and references by turns: the first and the last are always text, which may be empty. */
export function parts(value: string): Part[] {
  const out: Part[] = [];
  let at = 0;
  for (const m of value.matchAll(reference)) {
    out.push(value.slice(at, m.index), { kind: m[1] as Ref['kind'], name: m[2]! });
    at = m.index + m[0].length;
  }
  out.push(value.slice(at));
  return out;
}

export const join = (list: readonly Part[]) => list.map((p) => (typeof p === 'string' ? p : write(p))).join('');

export const refs = (value: string): Ref[] => parts(value).filter((p): p is Ref => typeof p !== 'string');

/** What LiteLLM calls a variable is what Tollgate calls one. */
export const withVariables = (value: string) => value.replace(/os\.environ\/([A-Za-z_][A-Za-z0-9_]*)/g, (_, name: string) => write({ kind: 'env', name }));
