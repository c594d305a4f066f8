import { create, equals, fromJson } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { EndpointSchema, MatchKind, Mode } from '@/gen/tollgate/control/v1/endpoint_pb';
import { TemplateSchema } from '@/gen/tollgate/control/v1/template_pb';
import { statuses } from './advanced/Inputs';
import { commandOf } from './cli';
import { bytes, bytesText, durationText, milliseconds, toDuration } from './duration';
import { asText, forget, heldIn, hold, secretOf, settle } from './held';
import { differences, merged } from './merge';
import { blank, duplicate, fieldOf, fromStore, same, sent, toStore } from './model';
import { filled, missing } from './template';

const whole = () =>
  fromJson(EndpointSchema, {
    id: 'ep_1', name: 'bria', path: '/bria', match: 'MATCH_KIND_PREFIX', etag: 'e1', revision: '7', methods: ['POST'],
    targets: [{ url: 'https://a.example', weight: 2 }, { url: 'https://b.example', tls: { serverName: 'b' } }],
    headers: [{ name: 'api_token', value: '${secret:bria}', mode: 'MODE_SET' }],
    price: { fixed: { perRequest: { currencyCode: 'USD', units: '12' } } },
    retry: { attempts: 2, statuses: [503] }, breaker: { minAttempts: 3 }, healthCheck: { path: '/up' }, outlierEjection: { failures: 4 },
    credentials: [{ name: 'one', headers: [{ name: 'k', value: '${env:K}' }] }],
    awsSigning: { service: 's3', region: 'r', accessKeyId: '${secret:a}', secretAccessKey: '${secret:b}' },
    models: { schemas: ['SCHEMA_OPENAI_CHAT'] }, managedBy: 'ci', timeouts: { total: '600s' }, abandoned: 'ABANDONED_METERED',
  });

test('what is not edited is sent as it was read', () => {
  const e = whole();
  expect(equals(EndpointSchema, sent(e).endpoint, e)).toBe(true);
  expect(equals(EndpointSchema, fromStore(toStore(e))!, e)).toBe(true);
});

test('rows in which nothing is written are left out, and errors find their rows', () => {
  const e = blank();
  e.headers.push(create(EndpointSchema, { headers: [{ name: ' a ', value: 'b' }] }).headers[0]!);
  const s = sent(e);
  expect(s.endpoint.headers.map((h) => h.name)).toEqual(['a']);
  expect(fieldOf('endpoint.headers[0].value', s)).toBe('headers[1].value');
  expect(fieldOf('endpoint.targets[0].url', s)).toBe('targets[0].url');
  expect(same(e, { ...e, headers: [e.headers[1]!] })).toBe(true);
});

describe('credentials that have no place yet', () => {
  test('are neither sent nor kept', () => {
    const e = blank();
    e.headers[0]!.name = 'Authorization';
    e.headers[0]!.value = hold('Bearer Zk3vQ9pLm2xW8rTy5uBn', 'Authorization');
    expect(e.headers[0]!.value).toMatch(/^Bearer \$\{held:\d+\}$/);
    expect(sent(e).endpoint.headers[0]!.value).toBe('Bearer (credential)');
    expect(toStore(e)).not.toContain('Zk3v');
    const ref = heldIn(e.headers[0]!.value)!;
    expect(secretOf(ref)).toBe('Zk3vQ9pLm2xW8rTy5uBn');
    expect(settle(e.headers[0]!.value, ref, '${secret:x}')).toBe('Bearer ${secret:x}');
    expect(secretOf(ref)).toBeUndefined();
  });
  test('may stay text, and are still not kept in the tab', () => {
    const value = hold('hunter22', 'api_token');
    expect(asText(value, heldIn(value)!)).toBe('hunter22');
    expect(hold('hunter22', 'api_token')).toBe('hunter22');
    const e = blank();
    Object.assign(e.headers[0]!, { name: 'api_token', value: 'hunter22' });
    expect(toStore(e)).not.toContain('hunter22');
    forget();
    expect(hold('hunter22', 'api_token')).toMatch(/^\$\{held:/);
  });
  test('of other parts are not kept either', () => {
    const e = whole();
    e.awsSigning!.secretAccessKey = 'wJalrXUtnFEMIK7MDENG';
    e.targets[1]!.tls!.clientKey = '-----BEGIN PRIVATE KEY-----';
    e.credentials[0]!.headers[0]!.value = 'sk-abcdefghijklmnop';
    expect(toStore(e)).not.toMatch(/wJalr|PRIVATE|sk-abc/);
  });
});

test('a duplicate is new', () => {
  const d = duplicate(whole());
  expect([d.id, d.etag, d.managedBy, d.name, d.path, d.revision]).toEqual(['', '', '', 'bria-copy', '/bria-copy', 0n]);
  expect(d.targets.length).toBe(2);
});

test('a template is filled in', () => {
  const template = create(TemplateSchema, {
    name: 't',
    parameters: [{ name: 'region', default: '' }, { name: 'price', default: '0.04' }],
    endpoint: fromJson(EndpointSchema, { name: 't', path: '/t', targets: [{ url: 'https://{region}.example/{other}' }], headers: [{ name: 'k', value: '${secret:t}-{price}' }] }),
  });
  expect(missing(template, {})).toEqual(['region']);
  const e = filled(template, { region: 'eu' })!;
  expect(e.targets[0]!.url).toBe('https://eu.example/{other}');
  expect(e.headers[0]!.value).toBe('${secret:t}-0.04');
});

describe('two changes to one endpoint', () => {
  test('each field is theirs, mine or to be decided', () => {
    const base = whole();
    const theirs = whole();
    const mine = whole();
    theirs.etag = 'e2';
    theirs.targets[0]!.url = 'https://theirs.example';
    theirs.description = 'theirs';
    mine.targets[0]!.url = 'https://mine.example';
    mine.keyHeader = 'x-mine';
    theirs.path = mine.path = '/same';
    const d = differences(base, theirs, mine);
    expect(d.map((x) => [x.field, x.both, x.taken])).toEqual([['targets', true, 'mine'], ['key_header', false, 'mine'], ['description', false, 'theirs']]);
    const out = merged(theirs, mine, { targets: 'theirs', key_header: 'mine', description: 'theirs' });
    expect([out.targets[0]!.url, out.keyHeader, out.description, out.etag, out.path]).toEqual(['https://theirs.example', 'x-mine', 'theirs', 'e2', '/same']);
    expect(merged(theirs, mine, { targets: 'mine' }).targets[0]!.url).toBe('https://mine.example');
  });
  test('what I took away stays away', () => {
    const theirs = whole();
    const mine = whole();
    delete mine.retry;
    expect(merged(theirs, mine, { retry: 'mine' }).retry).toBeUndefined();
    expect(merged(theirs, mine, { retry: 'theirs' }).retry?.attempts).toBe(2);
  });
});

test.each([['90s', 90_000], ['1m30s', 90_000], ['1.5 s', 1500], ['250ms', 250], ['10m', 600_000], ['2h', 7_200_000], ['30', 30_000], ['1,200', 1_200_000]])('duration %s', (text, ms) => {
  expect(milliseconds(text)).toBe(ms);
  expect(milliseconds(durationText(toDuration(ms)))).toBe(ms);
});

test('what is no duration, no size and no status', () => {
  for (const text of ['', 'soon', '5 apples', '-1s', '1s2']) expect(milliseconds(text)).toBeUndefined();
  for (const text of ['', 'MiB', '5 apples', '-1']) expect(bytes(text)).toBeUndefined();
  for (const text of ['abc', '5', '504-502', '100-900']) expect(statuses(text)).toBeUndefined();
});

test('sizes and statuses', () => {
  for (const [text, n] of [['25 MiB', 26_214_400], ['1kb', 1000], ['12', 12], ['1.5KiB', 1536]] as const) expect(bytes(text)).toBe(n);
  expect([0n, 12n, 1536n, 26_214_400n].map(bytesText)).toEqual(['', '12 B', '1536 B', '25 MiB']);
  expect(statuses('429, 502-504 502')).toEqual([429, 502, 503, 504]);
});

test('the command quotes what a shell would read', () => {
  const e = blank();
  e.name = 'bria';
  e.path = '/bria';
  e.match = MatchKind.EXACT;
  e.targets[0]!.url = 'https://a.example/x';
  Object.assign(e.headers[0]!, { name: 'api_token', value: "${secret:bria} it's", mode: Mode.SET });
  expect(commandOf(e)).toBe(String.raw`tollgate endpoint create bria \
  --path /bria \
  --exact \
  --target https://a.example/x \
  --header 'api_token: ${"${secret:bria}"} it'\''s' \
  --price DOLLARS`);
});
