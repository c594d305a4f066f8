// What the vendor of these tests says, and what is asked of it, whatever library asks.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { given } from '../through.mjs';

export const question = 'What is the weather like? Grüße, 世界 🐦 \u2028 <&> "x" \\';
export const system = 'Be brief.\nAnd "kind".';

const begun = 'Grüße, 世界 🐦 – ';
/** The texts of the model that answers with a text, of one that stops early, and of one that thinks before. */
export const said = `${begun}"quoted" <&> \\ a line\nand \u2028 another.`;
export const cut = begun;
export const thought = 'Hm… 🤔 let me think.';

/** What a model is called by the gateway. */
export const name = (route, model) => `${route.name}/${model}`;

/** Pictures: a red dot and a blue one. */
export const red = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
export const blue = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPj/HwADBwIAMCbHYQAAAABJRU5ErkJggg==';
export const address = 'https://example.com/a%20b.png?x=1&y=2';

/** seen is how the vendor names a picture that it was shown. */
export const seen = (data) => `image/png ${createHash('sha256').update(Buffer.from(data, 'base64')).digest('hex')}`;

export const forecast = {
  name: 'forecast',
  description: 'The weather of some days.',
  schema: { type: 'object', properties: { city: { type: 'string' }, days: { type: 'number' } }, required: ['city', 'days'], additionalProperties: false },
};
export const convert = {
  name: 'convert',
  description: 'Converts temperatures.',
  schema: {
    type: 'object',
    properties: { from: { type: 'object', properties: { unit: { type: 'string' }, values: { type: 'array', items: { type: 'number' } } } }, to: { enum: ['F', 'K'] } },
    required: ['from', 'to'],
  },
};

/** Calls of tools that the vendor makes, in the order in which it makes them. */
export const calls = [
  ['forecast', { city: 'Paris', days: 1.5 }],
  ['forecast', { city: 'Oslo 🐦 "x"', days: 3 }],
  ['convert', { from: { unit: 'C', values: [21, -3] }, to: 'F' }],
];

/** run is a tool: what it gives, or an error. */
export function run(tool, input) {
  if (tool === 'convert') return input.from.values.map((v) => (v * 9) / 5 + 32).join(' ');
  if (input.city !== 'Paris') throw new Error('no such city');
  return '21 °C "fair"';
}

/** The schema of an answer that is an object, and the object that the vendor answers with. */
export const shape = {
  type: 'object',
  properties: { city: { type: 'string' }, days: { type: 'array', items: { type: 'number' } } },
  required: ['city', 'days'],
  additionalProperties: false,
};
export const shaped = { city: 'Oslo 🐦', days: [1, 2.5, -3] };

/** validated is that schema as libraries for such write it (https://standardschema.dev). */
export const validated = { '~standard': { version: 1, vendor: 'tests', validate: (value) => ({ value: { ...value, validated: true } }), jsonSchema: { input: () => shape } } };

/** failure is the error that a call ends with. */
export async function failure(call) {
  try {
    await call();
  } catch (e) {
    return e;
  }
  return assert.fail('it went well');
}

/** listed is the model of a route that its lists show, and an alias of it. */
export const listed = (route) => [`${route.name}-listed`, `${route.name}-listed-too`];

export { given };

/**
 * What callers of OpenAI's languages get of a vendor's errors: the vendor's status, theirs with its type, its code, its class in
 * OpenAI's library, and what it says.
 */
export const failures = (OpenAI) => [
  ['400', '400 invalid_request_error', null, OpenAI.BadRequestError, /The vendor says: 400/],
  ['400-context', '400 invalid_request_error', 'context_length_exceeded', OpenAI.BadRequestError, /9000 tokens/],
  ['401', '502 server_error', 'upstream_refused', OpenAI.InternalServerError, /credential/],
  ['403', '502 server_error', 'upstream_refused', OpenAI.InternalServerError, /credential/],
  ['404', '404 invalid_request_error', 'model_not_found', OpenAI.NotFoundError, /The vendor says: 404/],
  ['409', '409 invalid_request_error', 'conflict', OpenAI.ConflictError, /The vendor says: 409/],
  ['413', '413 invalid_request_error', 'request_too_large', OpenAI.APIError, /The vendor says: 413/],
  ['422', '400 invalid_request_error', null, OpenAI.BadRequestError, /The vendor says: 422/],
  ['429', '429 rate_limit_error', 'rate_limit_exceeded', OpenAI.RateLimitError, /The vendor says: 429/],
  ['402', '402 insufficient_quota', 'insufficient_quota', OpenAI.APIError, /The vendor says: 402/],
  ['500', '500 server_error', null, OpenAI.InternalServerError, /The vendor says: 500/],
  ['503', '503 server_error', 'overloaded', OpenAI.InternalServerError, /The vendor says: 503/],
  ['529', '503 server_error', 'overloaded', OpenAI.InternalServerError, /The vendor says: 529/],
  ['504', '504 server_error', 'timeout', OpenAI.InternalServerError, /The vendor says: 504/],
];

export function failed(e, { status, got, code, of, words }) {
  assert.equal(e.constructor, of, String(e));
  assert.equal(`${e.status} ${e.type}`, got);
  assert.equal(e.code, code);
  assert.match(e.message, words);
  assert.match(e.requestID, /^req_/);
  assert.equal(e.headers.get('retry-after'), status === '429' ? '7' : null);
  assert.ok(!JSON.stringify(e.error).includes(given.vendorKey));
}

/** gatewaysErrors tries errors of the gateway in OpenAI's languages. */
export async function gatewaysErrors(OpenAI, route, call) {
  const client = (apiKey) => new OpenAI({ baseURL: `${route.url}/v1`, apiKey, maxRetries: 0 });
  const wrong = await failure(() => call(client('tgk_not-a-key'), 'text'));
  assert.ok(wrong instanceof OpenAI.AuthenticationError, String(wrong));
  assert.deepEqual([wrong.type, wrong.code, wrong.headers.get('x-tollgate-error')], ['invalid_request_error', 'invalid_api_key', 'key_unknown']);
  const other = { name: 'nobody' };
  const missing = await failure(() => client(route.key).post('/chat/completions', { body: { model: name(other, 'knows'), messages: [{ role: 'user', content: 'x' }] } }));
  assert.ok(missing instanceof OpenAI.NotFoundError, String(missing));
  assert.deepEqual([missing.type, missing.code], ['invalid_request_error', 'model_not_found']);
}

/** leaving asserts that a caller who leaves before the answer begins is gone at the vendor. */
export async function leaving(route, model, call, error) {
  const gone = new AbortController();
  const silent = call(gone.signal);
  while (!(await (await fetch(`${given.vendor}/_control/calls/${route.name}`)).json()).some((c) => c.body.includes(`"${model}"`)));
  gone.abort();
  const e = await failure(() => silent);
  assert.ok(e instanceof error, String(e));
  const ended = await fetch(`${given.vendor}/_control/ended/${model.slice(model.indexOf('-') + 1)}`);
  assert.equal(ended.status, 200, await ended.text());
}
