import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { causeOf, type Facts, known } from './cause';

const now = Date.UTC(2026, 10, 23, 12, 0, 0);
const facts = (more: Partial<Facts>): Facts => ({
  status: 200, code: '', message: '', path: '/bria/v1/x', key: 'ci-bot', edge: 'fra-1', unpriced: false,
  endpoint: {
    name: 'bria', path: '/bria', targets: ['https://engine.example'], timeoutMs: 60_000,
    secrets: [{ header: 'api_token', secret: 'bria-api-token', version: 2, updatedAt: now - 120_000 }],
  },
  ...more,
});

// Everything up to "Errors of the control plane" is what edges answer with.
const codes = [...readFileSync('../../../internal/fault/catalogue.go', 'utf8').split('// Errors of the control plane')[0]!.matchAll(/Code = "(\w+)"/g)].map((m) => m[1]!);

describe('the cause of a failure', () => {
  it('is known for every code of the gateway, and something can be done', () => {
    expect(codes.length).toBeGreaterThan(40);
    for (const code of codes) {
      expect(known(code), code).toBe(true);
      for (const endpoint of [facts({}).endpoint, undefined]) {
        const c = causeOf(facts({ status: 500, code, endpoint }), now);
        expect(c.text, code).not.toBe('');
        expect(c.text, code).not.toMatch(/undefined|\{/);
        expect(c.fixes.length, code).toBeGreaterThan(0);
        for (const fix of c.fixes) {
          expect(fix.label, code).not.toBe('');
          expect(!!fix.act !== !!fix.to, `${code}: ${fix.label}`).toBe(true);
        }
      }
    }
  });

  it.each<[string, Partial<Facts>, RegExp, string[]]>([
    ['a target that refuses the credentials', { status: 401 }, /^The target refused the credentials\. api_token comes from secret bria-api-token v2, changed 2.*ago\.$/, ['Replace secret', 'See what was sent']],
    ['the same with 403', { status: 403 }, /bria-api-token v2/, ['Replace secret', 'See what was sent']],
    ['an endpoint that sends no secret', { status: 401, endpoint: { ...facts({}).endpoint!, secrets: [] } }, /sends no secret/, ['Add credentials', 'See what was sent']],
    ['a path that stands in target and request', { status: 404, path: '/v1/v1/rerank', endpoint: { ...facts({}).endpoint!, path: '/v1', targets: ['https://api.example/v1/'] } }, /\/v1\/v1\/rerank.*doubled/, ['Fix target', 'See what was sent']],
    ['a path that the target does not have', { status: 404 }, /^The target answered 404 for \/bria\/v1\/x\.$/, ['Fix target', 'See what was sent']],
    ['no connection', { status: 502, code: 'upstream_tls', message: 'fra-1 could not connect: the certificate has expired.' }, /certificate has expired/, ['Probe from all edges', 'Fix target']],
    ['no answer in time', { status: 504, code: 'upstream_timeout', message: 'No first byte in 60 s.' }, /No first byte/, ['Raise limit to 2 min', 'Probe from all edges']],
    ['an empty budget', { status: 402, code: 'budget_exhausted', message: 'Key ci-bot has $4.00 left.' }, /\$4\.00 left/, ['Raise budget', 'Use other key']],
    ['a limit', { status: 429, code: 'rate_limited', retryAfter: 41 }, /limit was reached/, ['Wait 41 s and send', 'Open key']],
    ['an open breaker', { status: 503, code: 'breaker_open', retryAfter: 9 }, /does not call the target/, ['View breaker', 'Send via other edge', 'Wait 9 s and send']],
    ['no price', { unpriced: true }, /unpriced/, ['Open pricing with this response', 'Open pricing']],
    ['a target that throttles', { status: 429 }, /takes no more/, ['Send again', 'Add credential']],
    ['a target that fails', { status: 503 }, /answered 503/, ['Probe from all edges', 'Send again']],
    ['a caller that left', { status: 0 }, /caller left/, ['Send again']],
    ['a target that was not reached, of which only the record is left', { status: 0, outcome: 'unreachable' }, /could not be reached/, ['Probe from all edges', 'Fix target']],
    ['a try that reached no edge', { status: 0, error: 'The edge cannot be reached.' }, /edge cannot/, ['Send via other edge', 'Open edge']],
    ['nothing wrong', {}, /passed on/, []],
  ])('%s', (_, more, text, labels) => {
    const c = causeOf(facts(more), now);
    expect(c.text).toMatch(text);
    expect(c.fixes.map((f) => f.label)).toEqual(labels);
  });

  it('tells what the gateway told', () => {
    expect(causeOf(facts({ status: 402, code: 'budget_exhausted', message: 'Key a has $4.00 left.' }), now).text).toBe('Key a has $4.00 left.');
    expect(causeOf(facts({ status: 418, code: 'of_tomorrow' }), now).text).toContain('of_tomorrow');
  });

  it('takes people to the budget of the key', () => {
    const [raise] = causeOf(facts({ status: 402, code: 'budget_exhausted' }), now).fixes;
    expect(raise).toMatchObject({ to: '/budgets', search: { q: 'key:ci-bot' } });
  });
});
