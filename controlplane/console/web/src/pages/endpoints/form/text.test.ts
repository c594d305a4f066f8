import { describe, expect, test } from 'vitest';
import { Mode } from '@/gen/tollgate/control/v1/endpoint_pb';
import { credentialIn, secretName } from './credential';
import { print, read } from './lines';
import { nameOfHost, nameOfPath, normalPath } from './path';
import { join, parts, refs, withVariables } from './value';

describe('credentialIn', () => {
  test.each([
    ['sk-proj-abcdefghijklmnop', 'x-anything', '', 'sk-proj-abcdefghijklmnop'],
    ['Bearer eyJhbGciOiJIUzI1NiJ9.e30.abc', 'Authorization', 'Bearer ', 'eyJhbGciOiJIUzI1NiJ9.e30.abc'],
    ['bearer  abcdef123', 'x', 'bearer  ', 'abcdef123'],
    ['hunter22', 'api_token', '', 'hunter22'],
    ['hunter22', 'X-Api-Key', '', 'hunter22'],
    ['9f86d081884c7d659a2feaa0c55ad015', 'x-thing', '', '9f86d081884c7d659a2feaa0c55ad015'],
    ['Zk3vQ9pLm2xW8rTy5uBn', 'x-thing', '', 'Zk3vQ9pLm2xW8rTy5uBn'],
    ['  AKIAIOSFODNN7EXAMPLE ', 'x', '', 'AKIAIOSFODNN7EXAMPLE'],
  ])('%s as %s is one', (text, name, before, secret) => {
    expect(credentialIn(text, name)).toEqual({ before, secret });
  });

  test.each([
    ['application/json', 'content-type'],
    ['2023-06-01', 'anthropic-version'],
    ['${secret:bria}', 'api_token'],
    ['Bearer ${env:COHERE_API_KEY}', 'authorization'],
    ['bearer os.environ/COHERE_API_KEY', 'authorization'],
    ['$BRIA_API_TOKEN', 'api_token'],
    ['<your token>', 'api_token'],
    ['YOUR_API_KEY', 'x-thing'],
    ['your-api-key', 'api_token'],
    ['https://hooks.example.com/services/T00000000/B00000000/abc123', 'x-callback'],
    ['text/event-stream; charset=utf-8', 'accept'],
    ['prompt-caching-2024-07-31', 'anthropic-beta'],
    ['1234567890123456789012345', 'x-account'],
    ['3f2504e0-4f89-41d3-9a0c-0305e82c3301', 'x-request-id'],
    ['', 'api_token'],
    ['abc', 'api_token'],
  ])('%s as %s is none', (text, name) => {
    expect(credentialIn(text, name)).toBeUndefined();
  });
});

test('secretName', () => {
  expect(secretName('bria', 'api_token')).toBe('bria-api-token');
  expect(secretName('cohere', 'Authorization')).toBe('cohere-token');
  expect(secretName('bria', 'X-Bria-Key')).toBe('bria-key');
  expect(secretName('', '***')).toBe('secret');
  expect(secretName('bria', 'api_token', new Set(['bria-api-token', 'bria-api-token-2']))).toBe('bria-api-token-3');
  for (const [a, b] of [['x'.repeat(80), 'y'], ['-', '-'], ['ü', 'é'], ['a', 'b'.repeat(90)]] as const) {
    expect(secretName(a, b)).toMatch(/^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$/);
  }
});

test.each<[string, string, string[]]>([
  ['bria', '/bria', ['slashAdded']],
  ['/bria', '/bria', []],
  ['/bria/', '/bria', ['slashDropped']],
  ['//a///b//', '/a/b', ['slashesJoined', 'slashDropped']],
  ['/', '/', []],
  ['', '', []],
  ['   ', '', []],
  [' /a b ', '/a b', []],
  ['https://gw.example.com/bria', '/bria', ['gateway']],
  ['https://gw.example.com', '', ['gateway']],
  ['https://gw.example.community/x', '/https:/gw.example.community/x', ['slashAdded', 'slashesJoined']],
  ['a//b?x=//', '/a/b?x=//', ['slashAdded', 'slashesJoined']],
])('normalPath(%j)', (text, path, notes) => {
  expect(normalPath(text, 'https://gw.example.com/')).toEqual({ path, notes });
});

test('names', () => {
  expect(nameOfPath('/bria')).toBe('bria');
  expect(nameOfPath('/v1/rerank')).toBe('rerank');
  expect(nameOfPath('/v1beta/Models/')).toBe('models');
  expect(nameOfPath('/v1')).toBe('v1');
  expect(nameOfPath('/api/ocr.process?x=1')).toBe('ocr-process');
  expect(nameOfPath('/')).toBe('');
  expect(nameOfPath(`/${'a-'.repeat(60)}`)).toMatch(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
  expect(nameOfHost('engine.prod.bria-api.com')).toBe('bria');
  expect(nameOfHost('api.cohere.com')).toBe('cohere');
  expect(nameOfHost('api.example.co.uk:8443')).toBe('example');
  expect(nameOfHost('localhost:9000')).toBe('localhost');
  expect(nameOfHost('10.0.0.7')).toBe('10-0-0-7');
  expect(nameOfHost('openrouter.ai')).toBe('openrouter');
});

test('parts of values', () => {
  expect(parts('Bearer ${secret:a}x${env:B}')).toEqual(['Bearer ', { kind: 'secret', name: 'a' }, 'x', { kind: 'env', name: 'B' }, '']);
  for (const v of ['', 'plain', '${secret:a}', '${secret:', '${other:a}', '$${env:A}', '${base64:${secret:a}:x}', 'a${env:}b', '}{$']) expect(join(parts(v))).toBe(v);
  expect(refs('$${secret:b}')).toEqual([]);
  expect(refs('a ${secret:b} c')).toEqual([{ kind: 'secret', name: 'b' }]);
  expect(withVariables('bearer os.environ/COHERE_API_KEY')).toBe('bearer ${env:COHERE_API_KEY}');
});

describe('lines', () => {
  test('what is printed is read again', () => {
    const text = 'api_token: ${secret:bria}\ndefault x-a: b: c\nremove cookie\nx-empty: ';
    const got = read('header', text);
    expect(got.errors).toEqual([]);
    expect(got.rows.map((r) => [r.name, r.value, r.mode])).toEqual([
      ['api_token', '${secret:bria}', Mode.SET],
      ['x-a', 'b: c', Mode.DEFAULT],
      ['cookie', '', Mode.REMOVE],
      ['x-empty', '', Mode.SET],
    ]);
    expect(print('header', got.rows)).toBe(text);
    expect(print('query', read('query', 'a=1\nset b=2=3\nremove c').rows)).toBe('a=1\nset b=2=3\nremove c');
  });
  test('lines of curl', () => {
    const { rows, errors } = read('header', `-H 'a: b' \\\n--header "c: it's"\n-H$'d: e'\n# note\n\n`);
    expect(errors).toEqual([]);
    expect(rows.map((r) => `${r.name}=${r.value}`)).toEqual(['a=b', "c=it's", 'd=e']);
  });
  test('errors name their line', () => {
    expect(read('header', 'a: b\nnothing\nbad name: x\n: y\nremove z: 1').errors).toEqual([
      { line: 2, code: 'lineForm' },
      { line: 3, code: 'lineName' },
      { line: 4, code: 'lineName' },
      { line: 5, code: 'lineRemove' },
    ]);
  });
});
