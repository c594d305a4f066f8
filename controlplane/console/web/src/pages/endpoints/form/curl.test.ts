import { describe, expect, test } from 'vitest';
import { fromCurl, readCurl } from './curl';

const bria = `curl --location 'https://engine.prod.bria-api.com/v1/text-to-image/base/2.3' \\
  --header 'api_token: abc123' \\
  -H "Content-Type: application/json" \\
  --compressed -sS \\
  --data '{"prompt": "a book", "it''s": 1}' | jq .`;

describe('readCurl', () => {
  test('reads a command of a vendor', () => {
    const c = readCurl(bria);
    expect(c).toMatchObject({
      method: 'POST',
      url: 'https://engine.prod.bria-api.com/v1/text-to-image/base/2.3',
      headers: [
        { name: 'api_token', value: 'abc123' },
        { name: 'Content-Type', value: 'application/json' },
      ],
      ignored: ['--location', '--compressed', '-s', '-S', '| jq .'],
      cut: false,
    });
    expect(c.body).toBe('{"prompt": "a book", "its": 1}');
    expect(fromCurl(c)).toEqual({
      target: 'https://engine.prod.bria-api.com',
      below: '/v1/text-to-image/base/2.3',
      headers: [{ name: 'api_token', value: 'abc123' }],
      requestHeaders: [{ name: 'Content-Type', value: 'application/json' }],
    });
  });

  test.each<[string, string, Partial<ReturnType<typeof readCurl>>]>([
    ['GET by default', 'curl https://a.example/x', { method: 'GET', url: 'https://a.example/x', body: '' }],
    ['a prompt before it', '$ curl https://a.example/x', { url: 'https://a.example/x' }],
    ['flags in one word', 'curl -sSXPUT https://a.example', { method: 'PUT', ignored: ['-s', '-S'] }],
    ['a value in the word', "curl -H'a: b' https://a.example", { headers: [{ name: 'a', value: 'b' }] }],
    ['--url', 'curl --request patch --url https://a.example/x', { method: 'PATCH', url: 'https://a.example/x' }],
    ['--json', `curl --json '{"a":1}' https://a.example`, { method: 'POST', body: '{"a":1}', headers: [{ name: 'Content-Type', value: 'application/json' }, { name: 'Accept', value: 'application/json' }] }],
    ['several -d', 'curl -d a=1 -d b=2 https://a.example', { body: 'a=1&b=2', method: 'POST' }],
    ['an empty body', "curl -d '' https://a.example", { body: '', method: 'POST' }],
    ['-G', 'curl -G -d a=1 --data-urlencode "q=x y" https://a.example/s?k=v', { method: 'GET', url: 'https://a.example/s?k=v&a=1&q=x%20y', body: '' }],
    ['-I', 'curl -I https://a.example', { method: 'HEAD' }],
    ['-u', 'curl -u sk_1: https://a.example', { headers: [{ name: 'Authorization', value: 'Basic c2tfMTo=' }] }],
    ['-u in UTF-8', 'curl -u ü:ö https://a.example', { headers: [{ name: 'Authorization', value: 'Basic w7w6w7Y=' }] }],
    ['a form', 'curl -F file=@a.png -F n=1 https://a.example', { method: 'POST', form: ['file=@a.png', 'n=1'] }],
    ['a body in a file', 'curl -d @body.json https://a.example', { body: '', ignored: ['-d @body.json'], method: 'GET' }],
    ['--data-raw keeps @', "curl --data-raw '@a' https://a.example", { body: '@a' }],
    ['flags that take a value', 'curl -o out.png --max-time 5 https://a.example', { url: 'https://a.example', ignored: ['-o out.png', '--max-time 5'] }],
    ['flags that nobody knows', 'curl --frobnicate https://a.example', { url: 'https://a.example', ignored: ['--frobnicate'] }],
    ['empty headers', "curl -H 'X-A;' -H 'Accept:' https://a.example", { headers: [{ name: 'X-A', value: '' }], ignored: ['-H Accept:'] }],
    ['ANSI-C quotes', String.raw`curl --data-raw $'it\'s \u00fc \x41\n\101' https://a.example`, { body: "it's ü A\nA" }],
    ['escapes in double quotes', String.raw`curl -d "{\"a\": \"\$x \n\"}" https://a.example`, { body: String.raw`{"a": "$x \n"}` }],
    ['lines of Windows', 'curl "https://a.example/x" ^\r\n  -H "a: b^c" ^\r\n  -d "{\\"q\\":\\"x\\"}"', { url: 'https://a.example/x', headers: [{ name: 'a', value: 'b^c' }], body: '{"q":"x"}' }],
    ['a browser on Windows', 'curl ^"https://a.example/x?a=1^&b=2^" ^\n  -H ^"accept: */*^" ^\n  --data-raw ^"^{^\\^"q^\\^":1^}^"', { url: 'https://a.example/x?a=1&b=2', body: '{"q":1}' }],
    ['lines of PowerShell', 'curl.exe https://a.example `\n -H "a: b"', { url: 'https://a.example', headers: [{ name: 'a', value: 'b' }] }],
    ['a quote that is not closed', "curl https://a.example -d '{\"a\":", { body: '{"a":', cut: true }],
    ['a second command', 'curl https://a.example && echo done', { url: 'https://a.example', ignored: ['&& echo done'] }],
    ['no command', 'hello', { url: 'hello' }],
    ['nothing', '', { url: '', method: 'GET' }],
    ['a flag without its value', 'curl https://a.example -H', { headers: [], ignored: ['-H'] }],
  ])('%s', (_, text, want) => {
    expect(readCurl(text)).toMatchObject(want);
  });
});

test('credentials of an address become a header', () => {
  expect(fromCurl(readCurl('curl https://me:pa%20ss@a.example:8443/x?y=1'))).toEqual({
    target: 'https://a.example:8443',
    below: '/x?y=1',
    headers: [{ name: 'Authorization', value: 'Basic bWU6cGEgc3M=' }],
    requestHeaders: [],
  });
  expect(fromCurl(readCurl('curl ftp://a.example'))).toBeUndefined();
  expect(fromCurl(readCurl('curl'))).toBeUndefined();
  expect(fromCurl(readCurl('curl api.cohere.com/v1/rerank'))?.target).toBe('https://api.cohere.com');
});

// A generator that gives the same inputs each time, so that a failure can be seen again.
function chance(seed: number) {
  let s = seed;
  return (n: number) => {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    return Math.floor((s / 2 ** 32) * n);
  };
}

const alphabet = ['a', 'Z', '7', ' ', "'", '"', '\\', '$', '`', '^', '\n', '\t', '&', '|', ';', '{', '}', '@', ':', '=', '<', '#', '!', 'ü', '😀', '\u0001'];
const some = (r: (n: number) => number, most: number) => Array.from({ length: r(most) }, () => alphabet[r(alphabet.length)]!).join('');

const quoted: ((text: string) => string)[] = [
  (text) => `'${text.replaceAll("'", `'\\''`)}'`,
  (text) => `"${text.replace(/["\\$`]/g, '\\$&')}"`,
  (text) => `$'${text.replace(/[\\']/g, '\\$&').replaceAll('\n', '\\n')}'`,
  (text) => [...text].map((c) => (c === '\n' ? "'\n'" : `\\${c}`)).join('') || "''",
];

test('whatever is quoted for a shell is read as it was', () => {
  const r = chance(7);
  for (let i = 0; i < 4000; i++) {
    const body = some(r, 24).replace(/^@+/, '').replace(/\^(?=[\n"])/g, '');
    const value = some(r, 12).replace(/[\n\t]/g, '').trim();
    const how = [quoted[r(4)]!, quoted[r(4)]!];
    const text = `curl -X POST https://a.example/x -H ${how[0]!(`name: ${value}`)} --data-raw ${how[1]!(body)}`;
    // Text that looks as if it were for Windows is read as such: it is not this test's.
    if (/\^(\n|")/.test(text) || /`\n/.test(text)) continue;
    const c = readCurl(text);
    expect(c.body, text).toBe(body);
    expect(c.url, text).toBe('https://a.example/x');
    expect(c.headers, text).toEqual(value ? [{ name: 'name', value }] : []);
  }
});

test('whatever is pasted is read without an error and without losing its words', () => {
  const r = chance(11);
  const pieces = ['curl ', '-H ', '--data ', '--json ', '-u ', '-F ', '-G ', '--url ', "$'", '^\n', '\\\n', '"', "'", '-', '--', 'https://a.example/x ', '%zz', '-X', '--data-urlencode ', '\\u', '\\x', '\\U0011ffff', '@', ' | ', '\ud800'];
  for (let i = 0; i < 5000; i++) {
    const text = Array.from({ length: r(14) }, () => (r(3) ? pieces[r(pieces.length)]! : some(r, 6))).join('');
    const c = readCurl(text);
    expect(() => fromCurl(c), text).not.toThrow();
    expect(c.method, text).toBe(c.method.toUpperCase());
    for (const h of c.headers) expect(h.name, text).not.toBe('');
  }
});
