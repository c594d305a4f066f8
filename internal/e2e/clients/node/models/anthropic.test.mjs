// Anthropic's library, and models of a vendor that speaks Chat Completions.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { betaTool } from '@anthropic-ai/sdk/helpers/beta/json-schema';
import { jsonSchemaOutputFormat } from '@anthropic-ai/sdk/helpers/json-schema';
import * as t from '../through.mjs';
import * as s from './script.mjs';

const route = t.given.routes.anthropic;
const client = new Anthropic({ baseURL: route.url, apiKey: route.key, maxRetries: 0 });
const ask = (model, content, more) => ({ model: s.name(route, model), max_tokens: 2000, messages: [{ role: 'user', content }], ...more });
const usage = { input_tokens: 100, cache_creation_input_tokens: 0, cache_read_input_tokens: 20, output_tokens: 30 };
const told = ({ input_tokens, cache_creation_input_tokens, cache_read_input_tokens, output_tokens }) => ({
  input_tokens, cache_creation_input_tokens, cache_read_input_tokens, output_tokens,
});

/** legal asserts that events are in an order that Anthropic's API promises, and gives the texts of their blocks. */
function legal(events) {
  const blocks = [];
  let state = 'before';
  const moves = {
    message_start: ['before', 'between'], content_block_start: ['between', 'within'], content_block_delta: ['within', 'within'],
    content_block_stop: ['within', 'between'], message_delta: ['between', 'told'], message_stop: ['told', 'stopped'],
  };
  for (const e of events) {
    const [from, to] = moves[e.type];
    assert.equal(state, from, e.type);
    state = to;
    if (e.type === 'content_block_start') assert.equal(blocks.push(''), e.index + 1);
    if (e.type === 'content_block_delta') blocks[e.index] += e.delta.text ?? e.delta.partial_json ?? e.delta.thinking ?? '';
  }
  assert.equal(state, 'stopped');
  return blocks;
}

const wholly = (p, o) => client.messages.create(p, o);
const streamed = (p, o) => client.messages.stream(p, o).finalMessage();
/** both makes a test of whole answers and one of streams. */
const both = (what, f) => {
  test(what, () => f(wholly));
  test(`${what}, as a stream`, () => f(streamed));
};

test('an answer has the name that was asked for, the vendor’s usage and ids of the gateway’s', async () => {
  const { data: m, response, request_id } = await client.messages.create(ask('text', s.question)).withResponse();
  assert.match(request_id, /^req_/);
  assert.equal(request_id, response.headers.get('x-tollgate-request-id'));
  assert.equal(m._request_id, request_id);
  assert.match(response.headers.get('x-tollgate-model'), new RegExp(`/${route.name}$`));
  assert.equal(response.headers.get('x-of-the-vendor'), null);
  assert.match(m.id, /^msg_/);
  assert.deepEqual([m.type, m.role, m.model, m.stop_reason, m.stop_sequence], ['message', 'assistant', s.name(route, 'text'), 'end_turn', null]);
  assert.deepEqual(m.content.map((b) => [b.type, b.text]), [['text', s.said]]);
  assert.deepEqual(told(m.usage), usage);
});

test('streams have the events that Anthropic promises, and end with what was said', async () => {
  const events = await t.all(await client.messages.create(ask('text', s.question, { stream: true })));
  assert.deepEqual(legal(events), [s.said]);
  const stream = client.messages.stream(ask('text', s.question));
  let heard = '';
  stream.on('text', (delta, all) => {
    heard += delta;
    assert.equal(all, heard);
  });
  const m = await stream.finalMessage();
  assert.equal(heard, s.said);
  assert.equal(await stream.finalText(), s.said);
  assert.match(stream.request_id, /^req_/);
  assert.deepEqual([m.stop_reason, m.model], ['end_turn', s.name(route, 'text')]);
  assert.deepEqual(told(m.usage), usage);
});

test('the recorded answers of OpenAI', async () => {
  const text = await client.messages.create(ask('recorded', s.question));
  assert.ok(text.content[0].text.length > 0);
  const stream = await streamed(ask('recorded', s.question));
  assert.ok(stream.content[0].text.length > 0 && stream.usage.output_tokens > 0);
  const tools = [{ name: 'get_current_weather', input_schema: { type: 'object', properties: {} } }];
  const events = await t.all(await client.messages.create(ask('recorded', s.question, { tools, stream: true })));
  JSON.parse(legal(events).at(-1));
  assert.equal(events.at(-2).delta.stop_reason, 'tool_use');
});

const tools = [s.forecast, s.convert].map(({ name, description, schema }) => ({ name, description, input_schema: schema }));

/** used are the results of the tools that a message calls. */
function used(m) {
  return m.content.filter((b) => b.type === 'tool_use').map((b) => {
    try {
      const text = s.run(b.name, b.input);
      return { type: 'tool_result', tool_use_id: b.id, content: b.name === 'convert' ? text : [{ type: 'text', text }] };
    } catch (e) {
      return { type: 'tool_result', tool_use_id: b.id, content: e.message, is_error: true };
    }
  });
}

async function conversation(turn, p) {
  const asked = [];
  for (;;) {
    const m = await turn(p);
    p.messages.push({ role: 'assistant', content: m.content });
    if (m.stop_reason !== 'tool_use') return { asked, m };
    asked.push(m.content.filter((b) => b.type === 'tool_use').map((b) => [b.name, b.input]));
    p.messages.push({ role: 'user', content: used(m) });
    assert.ok(asked.length < 5, 'it ends');
  }
}

both('tools in several turns, two of them at once and one that fails', async (turn) => {
  const { asked, m } = await conversation(turn, ask('forecast', s.question, { tools, system: s.system }));
  assert.deepEqual(asked, [s.calls.slice(0, 2), s.calls.slice(2)]);
  assert.equal(m.stop_reason, 'end_turn');
  assert.deepEqual(m.content.map((b) => b.text), ['21 °C "fair"; failed with no such city; 69.8 26.6']);
});

both('tools one after the other, because the caller says so', async (turn) => {
  const tool_choice = { type: 'auto', disable_parallel_tool_use: true };
  const { asked } = await conversation(turn, ask('forecast', s.question, { tools, tool_choice }));
  assert.deepEqual(asked, s.calls.map((c) => [c]));
});

both('results of tools with pictures', async (turn) => {
  const p = ask('forecast', s.question, { tools });
  const first = await turn(p);
  const [paris, oslo] = first.content.filter((b) => b.type === 'tool_use');
  const picture = (data) => ({ type: 'image', source: { type: 'base64', media_type: 'image/png', data } });
  p.messages.push({ role: 'assistant', content: first.content }, {
    role: 'user',
    content: [
      { type: 'tool_result', tool_use_id: paris.id, content: [{ type: 'text', text: 'red' }, picture(s.red)] },
      { type: 'tool_result', tool_use_id: oslo.id, content: [picture(s.blue)] },
      { type: 'text', text: 'Go on.' },
    ],
  });
  const second = await turn(p);
  p.messages.push({ role: 'assistant', content: second.content }, { role: 'user', content: used(second) });
  const { content } = await turn(p);
  for (const what of ['red', s.seen(s.red), s.seen(s.blue), '69.8']) assert.ok(content[0].text.includes(what), `${what} is in ${content[0].text}`);
});

for (const stream of [false, true]) {
  test(`the tool runner${stream ? ', streaming' : ''}`, async () => {
    const ran = [];
    const runnable = [s.forecast, s.convert].map(({ name, description, schema: inputSchema }) =>
      betaTool({ name, description, inputSchema, run: (input) => (ran.push([name, input]), s.run(name, input)) }),
    );
    const runner = client.beta.messages.toolRunner({ ...ask('forecast', s.question), tools: runnable, stream });
    let turns = 0;
    for await (const m of runner) {
      turns++;
      if (stream) await m.finalMessage();
    }
    assert.equal(turns, 3);
    assert.deepEqual(ran, s.calls);
    const last = await runner.done();
    assert.equal(last.content[0].text, '21 °C "fair"; failed with Error: no such city; 69.8 26.6');
  });
}

test('a conversation that the server should keep is refused so that the library goes on without', async () => {
  const p = { ...ask('text', s.question), messages: undefined };
  const kept = client.beta.messages.thread(p);
  const e = await s.failure(() => kept.send({ role: 'user', content: s.question }));
  assert.ok(e instanceof Anthropic.BadRequestError, String(e));
  assert.equal(e.error.error.details.error_code, 'thread_unsupported_request');
  const thread = client.beta.messages.thread({ ...p, unsupportedRequestBehavior: 'continue_unthreaded' });
  for (const content of [s.question, 'And now?']) assert.equal((await thread.send({ role: 'user', content })).content[0].text, s.said);
  const last = JSON.parse((await t.calls(route)).findLast((c) => c.body.includes('And now?')).body);
  assert.deepEqual(last.messages.map((m) => [m.role, m.content]), [['user', s.question], ['assistant', s.said], ['user', 'And now?']]);
});

both('pictures, in the request and by their address', async (turn) => {
  const picture = (source) => ({ type: 'image', source });
  const m = await turn(ask('see', [
    { type: 'text', text: s.question },
    picture({ type: 'base64', media_type: 'image/png', data: s.red }),
    picture({ type: 'url', url: s.address }),
  ]));
  assert.equal(m.content[0].text, `I see ${s.seen(s.red)} and ${s.address}`);
});

both('thinking', async (turn) => {
  for (const thinking of [{ type: 'enabled', budget_tokens: 1024 }, { type: 'adaptive' }]) {
    const p = ask('think', s.question, { thinking });
    const m = await turn(p);
    assert.deepEqual(m.content.map((b) => [b.type, b.thinking ?? b.text]), [['thinking', s.thought], ['text', s.said]]);
    // What it thought goes back with the next turn.
    p.messages.push({ role: 'assistant', content: m.content }, { role: 'user', content: 'And now?' });
    assert.equal((await turn(p)).content[1].text, s.said);
  }
});

both('ends of answers', async (turn) => {
  const long = await turn(ask('long', s.question));
  assert.deepEqual([long.stop_reason, long.content[0].text], ['max_tokens', s.cut]);
});

test('answers by a schema', async () => {
  const output_config = { format: jsonSchemaOutputFormat(s.shape) };
  assert.deepEqual((await client.messages.parse(ask('json', s.question, { output_config }))).parsed_output, s.shaped);
  assert.deepEqual((await client.messages.stream(ask('json', s.question, { output_config })).finalMessage()).parsed_output, s.shaped);
});

test('counts of tokens', async () => {
  const { messages, model } = ask('text', s.question);
  assert.equal((await client.messages.countTokens({ model, messages, tools, system: s.system })).input_tokens, 1234);
});

test('lists of models, by their pages', async () => {
  const [listed, alias] = s.listed(route);
  const all = [];
  for await (const m of client.models.list({ limit: 1 })) all.push(m);
  assert.deepEqual(all.map((m) => [m.type, m.id]), [['model', listed], ['model', alias]]);
  assert.equal((await client.models.retrieve(listed)).id, listed);
  assert.ok((await s.failure(() => client.models.retrieve('nobody-knows'))) instanceof Anthropic.NotFoundError);
});

test('what the vendor cannot be asked is refused with the field’s name', async () => {
  const e = await s.failure(() => client.messages.create(ask('text', [{ type: 'document', source: { type: 'url', url: s.address } }])));
  assert.ok(e instanceof Anthropic.BadRequestError, String(e));
  assert.equal(e.type, 'invalid_request_error');
  assert.match(e.message, /messages\[0\]\.content\[0\]/);
  assert.equal(e.headers.get('x-tollgate-error'), 'request_unsupported');
});

for (const [status, type, of, words] of [
  ['400', 'invalid_request_error', Anthropic.BadRequestError, /The vendor says: 400/],
  ['400-context', 'invalid_request_error', Anthropic.BadRequestError, /prompt is too long: /],
  ['401', 'api_error', Anthropic.InternalServerError, /credential/],
  ['403', 'api_error', Anthropic.InternalServerError, /credential/],
  ['404', 'not_found_error', Anthropic.NotFoundError, /The vendor says: 404/],
  ['409', 'conflict_error', Anthropic.ConflictError, /The vendor says: 409/],
  ['413', 'request_too_large', Anthropic.ContentTooLargeError, /The vendor says: 413/],
  ['422', 'invalid_request_error', Anthropic.BadRequestError, /The vendor says: 422/],
  ['429', 'rate_limit_error', Anthropic.RateLimitError, /The vendor says: 429/],
  ['429-quota', 'billing_error', Anthropic.PaymentRequiredError, /quota/],
  ['500', 'api_error', Anthropic.InternalServerError, /The vendor says: 500/],
  ['503', 'overloaded_error', Anthropic.OverloadedError, /The vendor says: 503/],
  ['504', 'timeout_error', Anthropic.GatewayTimeoutError, /The vendor says: 504/],
]) {
  both(`a vendor’s ${status}`, async (turn) => {
    const e = await s.failure(() => turn(ask(`status-${status}`, s.question)));
    assert.equal(e.constructor, of, String(e));
    assert.equal(e.type, type);
    assert.match(e.message, words);
    assert.match(e.requestID, /^req_/);
    assert.equal(e.error.request_id, e.requestID);
    assert.equal(e.headers.get('retry-after'), status === '429' ? '7' : null);
    assert.ok(!JSON.stringify(e.error).includes(t.given.vendorKey));
  });
}

test('errors of the gateway', async () => {
  const wrong = await s.failure(() => new Anthropic({ baseURL: route.url, apiKey: 'tgk_not-a-key' }).messages.create(ask('text', s.question)));
  assert.ok(wrong instanceof Anthropic.AuthenticationError);
  assert.equal(wrong.type, 'authentication_error');
  const missing = await s.failure(() => client.messages.create({ ...ask('text', s.question), model: 'nobody-knows' }));
  assert.ok(missing instanceof Anthropic.NotFoundError);
  assert.equal(missing.type, 'not_found_error');
  assert.equal(missing.headers.get('x-tollgate-error'), 'model_not_found');
});

test('a 429 is asked again', async () => {
  const m = await client.messages.create(ask('busy-node-anthropic', s.question), { maxRetries: 2 });
  assert.equal(m.content[0].text, s.said);
});

test('streams that fail or break off do not end well', async () => {
  const failing = await s.failure(() => streamed(ask('failing-x', s.question)));
  assert.equal(failing.error?.error.type, 'overloaded_error', String(failing));
  const torn = await s.failure(() => streamed(ask('torn-x', s.question)));
  assert.ok(torn instanceof Anthropic.AnthropicError, String(torn));
  assert.equal(torn.error?.error.type, 'api_error', String(torn));
});

test('a caller who leaves is gone at the vendor', async () => {
  const stream = await client.messages.create(ask('endless-node-anthropic', s.question, { stream: true }));
  await t.leaves('node-anthropic', stream, () => stream.controller.abort());
  const other = client.messages.stream(ask('endless-node-anthropic-2', s.question));
  other.on('text', () => other.abort());
  assert.ok((await s.failure(() => other.finalMessage())) instanceof Anthropic.APIUserAbortError);
  assert.equal((await fetch(`${t.given.vendor}/_control/ended/node-anthropic-2`)).status, 200);
  const gone = new AbortController();
  const silent = client.messages.create(ask('silent-node-anthropic-3', s.question), { signal: gone.signal });
  while (!(await t.calls(route)).some((c) => c.body.includes('silent-node-anthropic-3')));
  gone.abort();
  assert.ok((await s.failure(() => silent)) instanceof Anthropic.APIUserAbortError);
  assert.equal((await fetch(`${t.given.vendor}/_control/ended/node-anthropic-3`)).status, 200);
});
