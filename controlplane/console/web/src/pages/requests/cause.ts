// Why a request ended as it did, in a sentence, and what to do about it. It decides by what is known of the request and of its
// endpoint, and draws nothing.

import type { Tone } from '@/components/Status';
import { list } from '@/lib/text';
import { ago, took } from '@/lib/time';
import { t } from '@/text/requests';

export interface SecretFact {
  /** Header, query parameter or signature that it stands in. */
  header: string;
  secret: string;
  /** 0 where it is not known. */
  version: number;
  updatedAt: number | undefined;
}

export interface EndpointFacts {
  name: string;
  path: string;
  targets: string[];
  secrets: SecretFact[];
  timeoutMs: number;
}

export interface Facts {
  status: number;
  /** Code of the gateway's own answer; empty for a target's. */
  code: string;
  /** What the gateway has told, as far as that is known. */
  message: string;
  path: string;
  key: string;
  edge: string;
  endpoint: EndpointFacts | undefined;
  unpriced: boolean;
  /** Seconds of the answer's Retry-After. */
  retryAfter?: number | undefined;
  /** How long it took until it was given up. */
  totalMs?: number | undefined;
  /** Why no answer reached the control plane, of a try. */
  error?: string | undefined;
  /** How the ledger has it, where nothing else is known. */
  outcome?: string | undefined;
}

/** What only the place can do where the cause is shown. */
export type Act = 'sendAgain' | 'waitAndSend' | 'otherEdge' | 'otherKey' | 'showSent' | 'probe' | 'explain' | 'price' | 'replaceSecret';

export interface Fix {
  label: string;
  act?: Act;
  /** What it acts on: the name of a secret. */
  of?: string;
  to?: string;
  search?: Record<string, string>;
}

export interface Cause {
  tone: Tone;
  text: string;
  fixes: Fix[];
}

const configure = (f: Facts, section: string, label: string): Fix[] =>
  f.endpoint ? [{ label, to: `/endpoints/${f.endpoint.name}/configure`, search: { sel: section } }] : [];
const openKey = (f: Facts, label = t('fixOpenKey')): Fix[] => (f.key ? [{ label, to: `/keys/${f.key}` }] : []);
const openEdge = (f: Facts, label: string): Fix[] => [f.edge ? { label, to: `/edges/${f.edge}` } : { label: t('fixEdges'), to: '/edges' }];
const act = (label: string, what: Act, of?: string): Fix => ({ label, act: what, ...(of ? { of } : {}) });
const again = () => act(t('fixSendAgain'), 'sendAgain');
const wait = (f: Facts) => act(f.retryAfter ? t('fixWait', { s: f.retryAfter }) : t('fixSendAgain'), f.retryAfter ? 'waitAndSend' : 'sendAgain');
const otherKey = () => act(t('fixOtherKey'), 'otherKey');
const otherEdge = () => act(t('fixOtherEdge'), 'otherEdge');
const probe = () => act(t('fixProbe'), 'probe');
const explain = () => act(t('fixExplain'), 'explain');
const firstSegment = (path: string) => /^\/[^/?]*/.exec(path)?.[0] ?? '/';
const doubled = (f: Facts) => f.endpoint && sentPaths(f).find((p) => /(\/[^/]+)\1(\/|$)/.test(p));

// What each code of the gateway is answered by. A code that is not here has a test that fails.
const byCode: Record<string, (f: Facts) => Fix[]> = {
  key_missing: () => [otherKey()],
  key_unknown: () => [otherKey(), { label: t('fixKeys'), to: '/keys' }],
  key_expired: (f) => [...openKey(f), otherKey()],
  key_revoked: (f) => [...openKey(f), otherKey()],
  key_blocked: (f) => [...openKey(f), otherKey()],
  key_not_allowed: (f) => [...openKey(f, t('fixAllow')), otherKey()],
  model_not_allowed: (f) => [...openKey(f, t('fixAllow')), otherKey()],
  endpoint_not_found: (f) => [explain(), { label: t('fixNewEndpoint'), to: '/endpoints/new', search: { path: firstSegment(f.path) } }],
  path_invalid: () => [explain()],
  endpoint_disabled: (f) => (f.endpoint ? [{ label: t('fixEnable'), to: `/endpoints/${f.endpoint.name}/overview` }] : [explain()]),
  method_not_allowed: (f) => [...configure(f, 'methods', t('fixMethods')), explain()],
  budget_exhausted: (f) => [{ label: t('fixRaiseBudget'), to: '/budgets', search: f.key ? { q: `key:${f.key}` } : {} }, otherKey()],
  budget_unavailable: (f) => [again(), ...openEdge(f, t('fixOpenEdge'))],
  rate_limited: (f) => [wait(f), ...openKey(f)],
  limit_unavailable: (f) => [again(), ...openEdge(f, t('fixOpenEdge'))],
  label_invalid: () => [explain()],
  body_too_large: (f) => [...configure(f, 'body', t('fixBodyLimit')), explain()],
  body_invalid: () => [again()],
  headers_too_large: () => [again()],
  request_malformed: () => [again()],
  transfer_encoding_unsupported: () => [again()],
  request_unsupported: () => [explain()],
  upgrade_unsupported: (f) => [...configure(f, 'target', t('fixTarget')), explain()],
  overloaded: (f) => [otherEdge(), ...openEdge(f, t('fixOpenEdge'))],
  upstream_unreachable: (f) => [probe(), ...configure(f, 'target', t('fixTarget'))],
  upstream_tls: (f) => [probe(), ...configure(f, 'target', t('fixTarget'))],
  upstream_timeout: (f) => [...configure(f, 'timeout', f.endpoint ? t('fixTimeout', { limit: took(f.endpoint.timeoutMs * 2) }) : ''), probe()],
  upstream_unavailable: (f) => [...openEdge(f, t('fixBreaker')), wait(f)],
  upstream_throttled: (f) => [wait(f), ...configure(f, 'headers', t('fixCredentials'))],
  upstream_refused: (f) => [...replace(f), act(t('fixSent'), 'showSent')],
  upstream_answer_invalid: (f) => [...configure(f, 'target', t('fixTarget')), probe()],
  breaker_open: (f) => [...openEdge(f, t('fixBreaker')), otherEdge(), ...(f.retryAfter ? [wait(f)] : [])],
  secret_unresolved: (f) => [
    ...(f.endpoint?.secrets.map((s) => ({ label: t('fixOpenSecret', { name: s.secret }), to: `/secrets/${s.secret}` })) ?? []).slice(0, 2),
    ...openEdge(f, t('fixOpenEdge')),
  ],
  snapshot_missing: (f) => [otherEdge(), ...openEdge(f, t('fixOpenEdge'))],
  spool_unavailable: (f) => [otherEdge(), ...openEdge(f, t('fixOpenEdge'))],
  shutting_down: () => [otherEdge()],
  signature_unsupported: (f) => [...configure(f, 'headers', t('fixSigning')), explain()],
  not_priced: (f) => [...configure(f, 'price', t('fixPricing')), explain()],
  model_not_found: () => [explain()],
  adapter_unavailable: (f) => [again(), ...openEdge(f, t('fixOpenEdge'))],
  adapter_failed: () => [again(), explain()],
  customer_blocked: (f) => [...openKey(f), explain()],
  customer_required: (f) => [...openKey(f), explain()],
  customer_unavailable: (f) => [again(), ...openEdge(f, t('fixOpenEdge'))],
  internal_error: (f) => [again(), ...openEdge(f, t('fixOpenEdge'))],
};

/** The codes that have an answer. */
export const known = (code: string) => Object.hasOwn(byCode, code);

const warnings = new Set(['rate_limited', 'limit_unavailable', 'budget_unavailable', 'overloaded', 'shutting_down', 'upstream_throttled']);

export function causeOf(f: Facts, now: number): Cause {
  if (f.error && !f.status) return { tone: 'bad', text: f.error, fixes: [otherEdge(), ...openEdge(f, t('fixOpenEdge'))] };
  if (f.code) {
    const told = f.message || (t.has(`code_${f.code}`) ? t(`code_${f.code}` as 'code_internal_error') : t('codeOnly', { code: f.code, status: f.status }));
    return { tone: warnings.has(f.code) ? 'warn' : 'bad', text: told, fixes: (byCode[f.code]?.(f) ?? [explain()]).filter((x) => x.label) };
  }
  if (f.status === 0) {
    const text = f.outcome && t.has(`outcome_${f.outcome}`) ? t(`outcome_${f.outcome}` as 'outcome_ok') : t('callerGone');
    return { tone: 'warn', text, fixes: f.outcome === 'unreachable' ? [probe(), ...configure(f, 'target', t('fixTarget'))] : [again()] };
  }
  if (f.status === 401 || f.status === 403) return refused(f, now);
  if (f.status === 404) {
    const twice = doubled(f);
    return {
      tone: 'bad',
      text: twice ? t('targetDoubled', { path: twice }) : t('target404', { path: f.path }),
      fixes: [...configure(f, 'target', t('fixTarget')), act(t('fixSent'), 'showSent')],
    };
  }
  if (f.status === 429) return { tone: 'warn', text: t('target429'), fixes: [wait(f), ...configure(f, 'headers', t('fixCredentials'))] };
  if (f.status >= 500) return { tone: 'bad', text: t('target5xx', { status: f.status }), fixes: [probe(), again()] };
  if (f.status >= 400) return { tone: 'bad', text: t('target4xx', { status: f.status }), fixes: [act(t('fixSent'), 'showSent'), again()] };
  if (f.unpriced) return { tone: 'warn', text: t('unpricedCause'), fixes: [act(t('fixPriceThis'), 'price'), ...configure(f, 'price', t('fixPricing'))] };
  return { tone: 'ok', text: f.status >= 300 ? t('redirected', { status: f.status }) : t('wentWell'), fixes: [] };
}

function refused(f: Facts, now: number): Cause {
  const secrets = f.endpoint?.secrets ?? [];
  const text = secrets.length
    ? `${t('targetRefused')} ${list(secrets.map((s) => secretText(s, now)))}.`
    : f.endpoint
      ? `${t('targetRefused')} ${t('noSecret', { name: f.endpoint.name })}`
      : t('targetRefused');
  return { tone: 'bad', text, fixes: [...replace(f), act(t('fixSent'), 'showSent')] };
}

function secretText(s: SecretFact, now: number): string {
  const name = s.version ? t('secretVersion', { header: s.header, secret: s.secret, version: s.version }) : t('secretOf', { header: s.header, secret: s.secret });
  return s.updatedAt === undefined ? name : t('secretChanged', { what: name, ago: ago(s.updatedAt, now) });
}

const replace = (f: Facts): Fix[] => {
  const secrets = f.endpoint?.secrets ?? [];
  if (!secrets.length) return configure(f, 'headers', t('fixHeaders'));
  return secrets.map((s) => act(secrets.length > 1 ? t('fixReplaceNamed', { name: s.secret }) : t('fixReplace'), 'replaceSecret', s.secret));
};

/** The paths at the targets to which a request's path leads. */
function sentPaths(f: Facts): string[] {
  const e = f.endpoint;
  if (!e) return [];
  const rest = f.path.split('?')[0]!.slice(e.path.length).replace(/^\/?/, '/');
  return e.targets.flatMap((target) => {
    try {
      return [new URL(target).pathname.replace(/\/$/, '') + (rest === '/' ? '' : rest)];
    } catch {
      return [];
    }
  });
}
