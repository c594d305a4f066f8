import { describe, expect, it, beforeEach } from 'vitest';
import { readCurl } from '@/pages/endpoints/form/curl';
import { words } from '@/pages/endpoints/form/shellwords';
import { codeOf, languages, literal, type Sample, shell } from './code';
import { decode, emptyDraft, encode, formatJson, headersOf, target, withoutCredentials } from './draft';
import { remember, tries } from './history';

const nasty = `it's "a" $HOME \`x\` \\n ünï 🙂\nline`;
const sample: Sample = {
  method: 'POST', gateway: 'http://localhost:4480', path: '/bria/v1/x?y=1&z=%20', key: 'console-test',
  headers: [{ name: 'Content-Type', value: 'application/json' }, { name: 'X-Note', value: `it's` }], body: nasty,
};

describe('code samples', () => {
  it('quote for the shell so that it reads the same text', () => {
    for (const text of [nasty, '', "'", '$(rm)', '&;|', '-d', '~', '!x']) expect(words(shell(text)).words).toEqual([text]);
    const read = readCurl(codeOf('curl', sample).replace('$TOLLGATE_KEY', 'K'))!;
    expect(read).toMatchObject({ method: 'POST', url: sample.gateway + sample.path, body: nasty });
    expect(read.headers).toContainEqual({ name: 'X-Note', value: `it's` });
  });

  it('quote for programs so that they read the same text', () => {
    expect(JSON.parse(literal(nasty))).toBe(nasty);
    const js = /body: (".*"),$/m.exec(codeOf('javascript', sample))![1]!;
    expect(JSON.parse(js)).toBe(nasty);
    const py = /data=(".*")\.encode/.exec(codeOf('python', sample))![1]!;
    expect(py).toContain('\\U0001f642');
    expect(py).not.toMatch(/[^\x20-\x7e]/);
    const go = codeOf('go', { ...sample, body: '{"a": "b"}' });
    expect(go).toContain('strings.NewReader(`{"a": "b"}`)');
    expect(codeOf('go', sample)).toContain('\\U0001f642');
  });

  it('take the key from the environment and name it nowhere else', () => {
    for (const l of languages) {
      const text = codeOf(l, sample);
      if (l === 'tollgate') expect(text).toContain('--as console-test');
      else expect(text).toContain('TOLLGATE_KEY');
      expect(text).not.toContain('tgk_');
    }
    expect(codeOf('go', { ...sample, body: '' })).not.toContain('"strings"');
  });
});

describe('a request that is written', () => {
  beforeEach(() => localStorage.clear());
  const draft = { ...emptyDraft, rest: '/v1/x', query: [{ name: 'a b', value: 'c&d' }, { name: '', value: 'x' }], headers: [{ name: 'Accept', value: '*/*' }], body: '{"ü": 1}' };

  it('makes a path that a request line can have', () => {
    expect(target('/bria', draft)).toBe('/bria/v1/x?a%20b=c%26d');
    expect(target('/v1/rerank', { ...emptyDraft })).toBe('/v1/rerank');
    expect(target('/', { ...emptyDraft, rest: 'x y?z=1' })).toBe('/x%20y?z=1');
    expect(target('/bria', { ...emptyDraft, rest: '/%2F' })).toBe('/bria/%2F');
  });

  it('says what its body is unless somebody else does', () => {
    expect(headersOf(draft)[0]).toEqual({ name: 'Content-Type', value: 'application/json' });
    expect(headersOf({ ...draft, body: 'hello' })[0]!.value).toContain('text/plain');
    expect(headersOf({ ...draft, headers: [{ name: 'content-type', value: 'a/b' }] })).toEqual([{ name: 'content-type', value: 'a/b' }]);
    expect(headersOf({ ...draft, body: '' })).toEqual([{ name: 'Accept', value: '*/*' }]);
  });

  it('goes through an address and back, without credentials', () => {
    const all = { ...draft, headers: [...draft.headers, { name: 'X-Api-Key', value: 's3cret' }, { name: 'Authorization', value: 's3cret' }], query: [...draft.query, { name: 'api_key', value: 's3cret' }] };
    const read = decode(encode(all))!;
    expect(read).toEqual(withoutCredentials(all));
    expect(JSON.stringify(read)).not.toContain('s3cret');
    expect(decode('%%%')).toBeUndefined();
    expect(decode(btoa('{"m":1,"q":[null,3]}'))).toMatchObject({ method: 'POST', query: [{ name: '', value: '' }, { name: '', value: '' }] });
  });

  it('is remembered twenty times for each endpoint, without credentials', () => {
    for (let i = 0; i < 30; i++) remember('bria', { ...draft, rest: `/${i}`, headers: [{ name: 'api_token', value: 's3cret' }] }, 200, i);
    remember('bria', { ...draft, rest: '/29' }, 402, 99);
    expect(tries('bria')).toHaveLength(20);
    expect(tries('bria')[0]).toMatchObject({ at: 99, status: 402 });
    expect(tries('rerank')).toHaveLength(0);
    expect(JSON.stringify({ ...localStorage })).not.toContain(btoa('s3cret').slice(0, 6));
    localStorage.setItem('tollgate-tries-bria', 'nonsense');
    expect(tries('bria')).toHaveLength(0);
  });

  it('indents JSON and keeps every digit', () => {
    expect(formatJson('{"a":[1,{"b":12345678901234567890.10}],"c":[],"d":"x,:{"}')).toBe(
      '{\n  "a": [\n    1,\n    {\n      "b": 12345678901234567890.10\n    }\n  ],\n  "c": [],\n  "d": "x,:{"\n}',
    );
    expect(formatJson('{oops')).toBeUndefined();
  });
});
