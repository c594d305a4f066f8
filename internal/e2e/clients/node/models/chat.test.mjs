// OpenAI's library speaking Chat Completions, and models of a vendor that speaks Messages.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { standardResponseFormat } from 'openai/helpers/standard-schema';
import * as t from '../through.mjs';
import * as s from './script.mjs';

const route = t.given.routes.chat;
const client = new OpenAI({ baseURL: `${route.url}/v1`, apiKey: route.key, maxRetries: 0 });
const ask = (model, content, more) => ({ model: s.name(route, model), max_completion_tokens: 2000, messages: [{ role: 'user', content }], ...more });
const usage = { prompt: 130, cached: 20, completion: 30, total: 160 };
const told = (u) => ({ prompt: u.prompt_tokens, cached: u.prompt_tokens_details.cached_tokens, completion: u.completion_tokens, total: u.total_tokens });

const wholly = (p, o) => client.chat.completions.create(p, o);
const streamed = (p, o) => client.chat.completions.stream(p, o).finalChatCompletion();
/** both makes a test of whole answers and one of streams. */
const both = (what, f) => {
  test(what, () => f(wholly));
  test(`${what}, as a stream`, () => f(streamed));
};

test('an answer has the name that was asked for, the vendor’s usage and ids of the gateway’s', async () => {
  const { data: m, response, request_id } = await client.chat.completions.create(ask('text', s.question)).withResponse();
  assert.match(request_id, /^req_/);
  assert.equal(request_id, response.headers.get('x-tollgate-request-id'));
  assert.match(response.headers.get('x-tollgate-model'), new RegExp(`/${route.name}$`));
  assert.equal(response.headers.get('x-of-the-vendor'), null);
  assert.match(m.id, /^chatcmpl-/);
  assert.deepEqual([m.object, m.model, m.choices.length], ['chat.completion', s.name(route, 'text'), 1]);
  assert.ok(Math.abs(m.created - Date.now() / 1000) < 3600);
  assert.deepEqual([m.choices[0].finish_reason, m.choices[0].message.role, m.choices[0].message.content], ['stop', 'assistant', s.said]);
  assert.deepEqual(told(m.usage), usage);
});

test('streams have the chunks that OpenAI promises, and usage if that was asked for', async () => {
  for (const stream_options of [undefined, { include_usage: true }]) {
    const chunks = await t.all(await client.chat.completions.create(ask('text', s.question, { stream: true, stream_options })));
    assert.equal(chunks[0].choices[0].delta.role, 'assistant');
    assert.equal(new Set(chunks.map((c) => c.id)).size, 1);
    assert.ok(chunks.every((c) => c.model === s.name(route, 'text') && c.object === 'chat.completion.chunk'));
    assert.equal(chunks.map((c) => c.choices[0]?.delta.content ?? '').join(''), s.said);
    const usages = chunks.filter((c) => c.usage);
    assert.deepEqual(usages.map((c) => [c.choices.length, told(c.usage)]), stream_options ? [[0, usage]] : []);
    assert.deepEqual(chunks.flatMap((c) => c.choices[0]?.finish_reason ?? []), ['stop']);
  }
  const stream = client.chat.completions.stream(ask('text', s.question, { stream_options: { include_usage: true } }));
  let heard = '';
  stream.on('content', (delta, all) => {
    heard += delta;
    assert.equal(all, heard);
  });
  const m = await stream.finalChatCompletion();
  assert.equal(heard, s.said);
  assert.equal(await stream.finalContent(), s.said);
  assert.deepEqual(told(await stream.totalUsage().then(() => m.usage)), usage);
});

test('the recorded answers of Anthropic', async () => {
  for (const tools of [undefined, [{ type: 'function', function: { name: 'pelican_name_generator', parameters: { type: 'object', properties: {} } } }]]) {
    const whole = await wholly(ask('recorded', s.question, { tools }));
    assert.ok(whole.usage.completion_tokens > 0 && (whole.choices[0].message.content || whole.choices[0].message.tool_calls));
    const m = await streamed(ask('recorded', s.question, { tools }));
    assert.equal(m.choices[0].finish_reason, tools ? 'tool_calls' : 'stop');
    if (tools) JSON.parse(m.choices[0].message.tool_calls[0].function.arguments);
  }
});

const tools = [s.forecast, s.convert].map(({ name, description, schema: parameters }) => ({ type: 'function', function: { name, description, parameters } }));

async function conversation(turn, p) {
  const asked = [];
  for (;;) {
    const { message, finish_reason } = (await turn(p)).choices[0];
    p.messages.push(message);
    if (finish_reason !== 'tool_calls') return { asked, message, finish_reason };
    asked.push(message.tool_calls.map((c) => [c.function.name, JSON.parse(c.function.arguments)]));
    for (const { id, function: f } of message.tool_calls) p.messages.push({ role: 'tool', tool_call_id: id, content: used(f.name, f.arguments) });
    assert.ok(asked.length < 5, 'it ends');
  }
}

/** used is what a tool gives, as a text. */
function used(tool, input) {
  try {
    return s.run(tool, JSON.parse(input));
  } catch (e) {
    return `It failed: ${e.message}`;
  }
}

both('tools in several turns, and two of them at once', async (turn) => {
  const p = ask('forecast', s.question, { tools });
  p.messages.unshift({ role: 'developer', content: s.system });
  const { asked, message, finish_reason } = await conversation(turn, p);
  assert.deepEqual(asked, [s.calls.slice(0, 2), s.calls.slice(2)]);
  assert.deepEqual([finish_reason, message.content], ['stop', '21 °C "fair"; It failed: no such city; 69.8 26.6']);
});

both('tools’ inputs keep their numbers to the last digit', async (turn) => {
  const p = ask('weather', s.question, { tools });
  const { message } = (await turn(p)).choices[0];
  assert.deepEqual(message.tool_calls.map((c) => c.function.arguments), ['{"city":"Paris","days":1.50}', '{"city":"Oslo 🐦 \\"x\\"","days":12345678901234567890}']);
  p.messages.push(message, ...message.tool_calls.map((c) => ({ role: 'tool', tool_call_id: c.id, content: 'fair' })));
  assert.equal((await turn(p)).choices[0].finish_reason, 'tool_calls'); // the vendor has compared them
});

both('tools one after the other, because the caller says so', async (turn) => {
  const { asked } = await conversation(turn, ask('forecast', s.question, { tools, parallel_tool_calls: false }));
  assert.deepEqual(asked, s.calls.map((c) => [c]));
});

for (const stream of [false, true]) {
  test(`the tool runner${stream ? ', streaming' : ''}`, async () => {
    const ran = [];
    const runnable = tools.map((f) => ({
      type: 'function',
      function: { ...f.function, parse: JSON.parse, function: (input) => (ran.push([f.function.name, input]), used(f.function.name, JSON.stringify(input))) },
    }));
    const runner = client.chat.completions.runTools({ ...ask('forecast', s.question), tools: runnable, stream });
    assert.equal(await runner.finalContent(), '21 °C "fair"; It failed: no such city; 69.8 26.6');
    assert.deepEqual(ran, s.calls);
    assert.equal(runner.allChatCompletions().length, 3);
  });
}

both('pictures, in the request and by their address', async (turn) => {
  const picture = (url) => ({ type: 'image_url', image_url: { url } });
  const m = await turn(ask('see', [{ type: 'text', text: s.question }, picture(`data:image/png;base64,${s.red}`), picture(s.address)]));
  assert.equal(m.choices[0].message.content, `I see ${s.seen(s.red)} and ${s.address}`);
});

both('thinking', async (turn) => {
  const m = await turn(ask('think', s.question, { reasoning_effort: 'low' }));
  assert.equal(m.choices[0].message.content, s.said);
});

both('ends of answers', async (turn) => {
  // The library’s own stream throws for an answer that was cut short, as it does with OpenAI.
  const long = await turn(ask('long', s.question));
  assert.deepEqual([long.choices[0].finish_reason, long.choices[0].message.content], ['length', s.cut]);
  const stopped = await turn(ask('stop', s.question, { stop: ['STOP'] }));
  assert.deepEqual([stopped.choices[0].finish_reason, stopped.choices[0].message.content], ['stop', s.cut]);
});

test('answers by a schema', async () => {
  const response_format = standardResponseFormat(s.validated, 'shape');
  for (const m of [
    await client.chat.completions.parse(ask('json', s.question, { response_format })),
    await client.chat.completions.stream(ask('json', s.question, { response_format })).finalChatCompletion(),
  ]) {
    assert.deepEqual(m.choices[0].message.parsed, { ...s.shaped, validated: true });
  }
});

test('lists of models', async () => {
  const [listed, alias] = s.listed(route);
  assert.deepEqual((await t.all(client.models.list())).map((m) => [m.object, m.id]), [['model', listed], ['model', alias]]);
  assert.equal((await client.models.retrieve(alias)).id, alias);
  assert.ok((await s.failure(() => client.models.retrieve('nobody-knows'))) instanceof OpenAI.NotFoundError);
});

test('what the vendor cannot be asked is refused with the field’s name', async () => {
  const e = await s.failure(() => client.chat.completions.create(ask('text', s.question, { n: 2 })));
  assert.ok(e instanceof OpenAI.BadRequestError, String(e));
  assert.deepEqual([e.type, e.code, e.param], ['invalid_request_error', null, 'n']);
  assert.equal(e.headers.get('x-tollgate-error'), 'request_unsupported');
});

for (const [status, got, code, of, words] of s.failures(OpenAI)) {
  both(`a vendor’s ${status}`, async (turn) => {
    const e = await s.failure(() => turn(ask(`status-${status}`, s.question)));
    s.failed(e, { status, got, code, of, words });
  });
}

test('errors of the gateway', () => s.gatewaysErrors(OpenAI, route, (c, model) => c.chat.completions.create(ask(model, s.question))));

test('a 429 is asked again', async () => {
  const m = await client.chat.completions.create(ask('busy-node-chat', s.question), { maxRetries: 2 });
  assert.equal(m.choices[0].message.content, s.said);
});

test('streams that fail or break off do not end well', async () => {
  const failing = await s.failure(() => streamed(ask('failing-x', s.question)));
  assert.equal(failing.code, 'overloaded', String(failing));
  const torn = await s.failure(() => streamed(ask('torn-x', s.question)));
  assert.equal(torn.type, 'server_error', String(torn));
});

test('a caller who leaves is gone at the vendor', async () => {
  const stream = await client.chat.completions.create(ask('endless-node-chat', s.question, { stream: true }));
  await t.leaves('node-chat', stream, () => stream.controller.abort());
  await s.leaving(route, 'silent-node-chat-2', (signal) => client.chat.completions.create(ask('silent-node-chat-2', s.question), { signal }), OpenAI.APIUserAbortError);
});
