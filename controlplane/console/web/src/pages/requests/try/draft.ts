// A request that is being written: what it has, how it stands in an address and in the history, and how it is sent.

export interface Pair {
  name: string;
  value: string;
}

export interface Draft {
  method: string;
  /** What comes after the endpoint's path: "/v1/x". */
  rest: string;
  query: Pair[];
  headers: Pair[];
  body: string;
  key: string;
  /** Empty for any. */
  edge: string;
}

export const consoleKey = 'console-test';
export const emptyDraft: Draft = { method: 'POST', rest: '', query: [], headers: [], body: '', key: consoleKey, edge: '' };

/** Headers that carry credentials, which are neither stored nor put into links. */
const credential = /^(authorization|proxy-authorization|cookie|.*(api[-_]?(key|token)|secret|token|password|credential).*)$/i;
const credentialQuery = /^(key|.*(api[-_]?key|secret|token|password|signature).*)$/i;

export function withoutCredentials(d: Draft): Draft {
  return { ...d, headers: d.headers.filter((h) => !credential.test(h.name)), query: d.query.filter((q) => !credentialQuery.test(q.name)) };
}

const named = (pairs: Pair[]) => pairs.filter((p) => p.name.trim());

/** Path and query as they are sent. */
export function target(base: string, d: Draft): string {
  const [path = '', given] = d.rest.split('?', 2);
  const joined = path ? base.replace(/\/$/, '') + path.replace(/^\/?/, '/') : base;
  const encoded = joined.replace(/[^\x21-\x7e]|[#"<>\\^`{|}]/g, encodeURIComponent);
  const query = [given, named(d.query).map((q) => `${encodeURIComponent(q.name)}=${encodeURIComponent(q.value)}`).join('&')].filter(Boolean).join('&');
  return query ? `${encoded}?${query}` : encoded;
}

/** Headers as they are sent: JSON says that it is JSON, unless something else is said. */
export function headersOf(d: Draft): Pair[] {
  const own = named(d.headers).map((h) => ({ name: h.name.trim(), value: h.value.trim() }));
  if (!d.body || own.some((h) => h.name.toLowerCase() === 'content-type')) return own;
  return [{ name: 'Content-Type', value: looksLikeJson(d.body) ? 'application/json' : 'text/plain; charset=utf-8' }, ...own];
}

export function looksLikeJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return /^\s*[[{]/.test(text);
  }
}

/** Indents JSON; undefined for what is none. Numbers keep every digit. */
export function formatJson(text: string): string | undefined {
  try {
    JSON.parse(text);
  } catch {
    return undefined;
  }
  let out = '';
  let depth = 0;
  const line = () => `\n${'  '.repeat(depth)}`;
  for (const m of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s"{}[\],:]+/g)) {
    const token = m[0];
    const next = /^\s*([}\]])?/.exec(text.slice(m.index + token.length))?.[1];
    if (token === '{' || token === '[') {
      out += token;
      if (next) continue;
      depth++;
      out += line();
    } else if (token === '}' || token === ']') {
      if (!/[{[]$/.test(out)) {
        depth--;
        out += line();
      }
      out += token;
    } else if (token === ',') out += token + line();
    else if (token === ':') out += ': ';
    else out += token;
  }
  return out;
}

/** A request as it stands in an address; without credentials. */
export function encode(d: Draft): string {
  const c = withoutCredentials(d);
  const short = { m: c.method, p: c.rest, q: c.query, h: c.headers, b: c.body, k: c.key === consoleKey ? undefined : c.key, e: c.edge || undefined };
  const bytes = new TextEncoder().encode(JSON.stringify(short));
  return btoa(Array.from(bytes, (b) => String.fromCharCode(b)).join('')).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

/** Reads what encode wrote; undefined for anything else. */
export function decode(text: string): Draft | undefined {
  try {
    const bytes = Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
    const s = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
    return {
      method: word(s.m) || 'POST',
      rest: word(s.p),
      query: pairs(s.q),
      headers: pairs(s.h),
      body: word(s.b),
      key: word(s.k) || consoleKey,
      edge: word(s.e),
    };
  } catch {
    return undefined;
  }
}

const word = (v: unknown) => (typeof v === 'string' ? v : '');
const pairs = (v: unknown): Pair[] =>
  Array.isArray(v) ? v.slice(0, 64).map((p: unknown) => ({ name: word((p as Pair | null)?.name), value: word((p as Pair | null)?.value) })) : [];
