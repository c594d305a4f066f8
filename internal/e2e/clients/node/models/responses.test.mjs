// OpenAI's library speaking Responses, and models of vendors that speak Chat Completions or Messages, but not Responses.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { standardTextFormat } from 'openai/helpers/standard-schema';
import * as t from '../through.mjs';
import * as s from './script.mjs';

for (const [vendor, usage] of [
  ['responses-chat', { input: 120, cached: 20, output: 30, reasoning: 5, total: 150 }],
  ['responses-messages', { input: 130, cached: 20, output: 30, reasoning: 0, total: 160 }],
]) {
  test(vendor, (at) => tried(at, t.given.routes[vendor], usage));
}

async function tried(at, route, usage) {
  const client = new OpenAI({ baseURL: `${route.url}/v1`, apiKey: route.key, maxRetries: 0 });
  const ask = (model, input, more) => ({ model: s.name(route, model), max_output_tokens: 2000, input, ...more });
  const told = (u) => ({
    input: u.input_tokens, cached: u.input_tokens_details.cached_tokens, output: u.output_tokens, reasoning: u.output_tokens_details.reasoning_tokens, total: u.total_tokens,
  });
  const wholly = (p, o) => client.responses.create(p, o);
  const streamed = (p, o) => client.responses.stream(p, o).finalResponse();
  const both = async (what, f) => {
    await at.test(what, () => f(wholly));
    await at.test(`${what}, as a stream`, () => f(streamed));
  };

  await at.test('an answer has the name that was asked for, the vendor’s usage and ids of the gateway’s', async () => {
    const { data: r, response, request_id } = await client.responses.create(ask('text', s.question)).withResponse();
    assert.match(request_id, /^req_/);
    assert.equal(request_id, response.headers.get('x-tollgate-request-id'));
    assert.equal(response.headers.get('x-of-the-vendor'), null);
    assert.match(r.id, /^resp_/);
    assert.deepEqual([r.object, r.status, r.model, r.error, r.output_text], ['response', 'completed', s.name(route, 'text'), null, s.said]);
    assert.deepEqual(told(r.usage), usage);
  });

  await at.test('streams have the events that OpenAI promises', async () => {
    const events = await t.all(await client.responses.create(ask('text', s.question, { stream: true })));
    assert.deepEqual(events.map((e) => e.sequence_number), events.map((_, i) => i));
    const types = events.map((e) => e.type);
    assert.deepEqual([types[0], types[1], types.at(-1)], ['response.created', 'response.in_progress', 'response.completed']);
    assert.equal(events.filter((e) => e.type === 'response.output_text.delta').map((e) => e.delta).join(''), s.said);
    const stream = client.responses.stream(ask('text', s.question));
    let heard = '';
    stream.on('response.output_text.delta', (e) => {
      heard += e.delta;
      assert.equal(e.snapshot, heard);
    });
    const r = await stream.finalResponse();
    assert.deepEqual([heard, r.output_text, r.status, told(r.usage)], [s.said, s.said, 'completed', usage]);
  });

  const tools = [s.forecast, s.convert].map(({ name, description, schema: parameters }) => ({ type: 'function', name, description, parameters, strict: false }));
  const used = (c) => {
    try {
      return s.run(c.name, JSON.parse(c.arguments));
    } catch (e) {
      return `It failed: ${e.message}`;
    }
  };
  const conversation = async (turn, p) => {
    const asked = [];
    for (;;) {
      const r = await turn(p);
      const calls = r.output.filter((o) => o.type === 'function_call');
      if (calls.length === 0) return { asked, r };
      asked.push(calls.map((c) => [c.name, JSON.parse(c.arguments)]));
      p.input.push(...r.output, ...calls.map((c) => ({ type: 'function_call_output', call_id: c.call_id, output: used(c) })));
      assert.ok(asked.length < 5, 'it ends');
    }
  };

  await both('tools in several turns, and two of them at once', async (turn) => {
    const p = ask('forecast', [{ role: 'user', content: s.question }], { tools, instructions: s.system });
    const { asked, r } = await conversation(turn, p);
    assert.deepEqual(asked, [s.calls.slice(0, 2), s.calls.slice(2)]);
    assert.equal(r.output_text, '21 °C "fair"; It failed: no such city; 69.8 26.6');
  });

  await both('tools one after the other, because the caller says so', async (turn) => {
    const { asked } = await conversation(turn, ask('forecast', [{ role: 'user', content: s.question }], { tools, parallel_tool_calls: false }));
    assert.deepEqual(asked, s.calls.map((c) => [c]));
  });

  await both('pictures, in the request and by their address', async (turn) => {
    const picture = (image_url) => ({ type: 'input_image', image_url, detail: 'auto' });
    const content = [{ type: 'input_text', text: s.question }, picture(`data:image/png;base64,${s.red}`), picture(s.address)];
    assert.equal((await turn(ask('see', [{ role: 'user', content }]))).output_text, `I see ${s.seen(s.red)} and ${s.address}`);
  });

  await both('thinking', async (turn) => {
    const r = await turn(ask('think', s.question, { reasoning: { effort: 'low', summary: 'auto' } }));
    assert.equal(r.output_text, s.said);
    assert.equal(r.output.at(-1).type, 'message');
    // All of it goes back with the next turn.
    const next = await turn(ask('think', [{ role: 'user', content: s.question }, ...r.output, { role: 'user', content: 'And now?' }], { reasoning: { effort: 'low' } }));
    assert.equal(next.output_text, s.said);
  });

  await both('ends of answers', async (turn) => {
    const r = await turn(ask('long', s.question));
    assert.deepEqual([r.status, r.incomplete_details.reason, r.output_text], ['incomplete', 'max_output_tokens', s.cut]);
  });

  await at.test('answers by a schema', async () => {
    const text = { format: standardTextFormat(s.validated, 'shape') };
    for (const r of [
      await client.responses.parse(ask('json', s.question, { text })),
      await client.responses.stream(ask('json', s.question, { text })).finalResponse(),
    ]) {
      assert.deepEqual(r.output_parsed, { ...s.shaped, validated: true });
    }
  });

  await at.test('what the vendor cannot be asked is refused with the field’s name', async () => {
    const e = await s.failure(() => client.responses.create(ask('text', s.question, { previous_response_id: 'resp_1' })));
    assert.ok(e instanceof OpenAI.BadRequestError, String(e));
    assert.deepEqual([e.type, e.param], ['invalid_request_error', 'previous_response_id']);
  });

  for (const [status, got, code, of, words] of s.failures(OpenAI)) {
    await both(`a vendor’s ${status}`, async (turn) => {
      const e = await s.failure(() => turn(ask(`status-${status}`, s.question)));
      s.failed(e, { status, got, code, of, words });
    });
  }

  await at.test('errors of the gateway', () => s.gatewaysErrors(OpenAI, route, (c, model) => c.responses.create(ask(model, s.question))));

  await at.test('a 429 is asked again', async () => {
    const r = await client.responses.create(ask(`busy-${route.name}`, s.question), { maxRetries: 2 });
    assert.equal(r.output_text, s.said);
  });

  await at.test('streams that fail or break off do not end well', async () => {
    for (const model of ['failing-x', 'torn-x']) {
      const events = [];
      const e = await s.failure(async () => {
        for await (const event of await client.responses.create(ask(model, s.question, { stream: true }))) events.push(event);
        // What is told as an event is no error to those who read events.
        const end = events.at(-1);
        if (['error', 'response.failed'].includes(end.type)) throw new Error(end.type);
      });
      assert.ok(e instanceof Error);
      assert.ok(!events.some((x) => x.type === 'response.completed'));
      const r = await streamed(ask(model, s.question)).catch((e) => e);
      assert.ok(r instanceof Error || r.status === 'failed', JSON.stringify(r));
    }
  });

  await at.test('a caller who leaves is gone at the vendor', async () => {
    const tag = `${route.name}-1`;
    const stream = await client.responses.create(ask(`endless-${tag}`, s.question, { stream: true }));
    await t.leaves(tag, stream, () => stream.controller.abort());
    const silent = `silent-${route.name}-2`;
    await s.leaving(route, silent, (signal) => client.responses.create(ask(silent, s.question), { signal }), OpenAI.APIUserAbortError);
  });
}
