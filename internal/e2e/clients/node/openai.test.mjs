import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI, { toFile } from 'openai';
import * as t from './through.mjs';

const make = (url, apiKey) => new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
const c = t.both('openai', make);
const ask = (model, more) => ({ model, messages: [{ role: 'user', content: 'Olá 🙂 \u2028 <&>' }], ...more });
const tools = [{ type: 'function', function: { name: 'get_current_weather', parameters: { type: 'object', properties: {} } } }];

test('answers, streams and tool calls', async () => {
  await t.same(c, (o) => o.chat.completions.create(ask('gpt-5')));
  await t.same(c, (o) => o.chat.completions.create(ask('gpt-5', { tools })));
  const text = await t.same(c, async (o) => t.all(await o.chat.completions.create(ask('gpt-5', { stream: true }))));
  assert.ok(text.some((p) => p.choices[0]?.delta.content === 'Olá'));
  const called = await t.same(c, (o) => o.chat.completions.stream(ask('gpt-5', { tools })).finalChatCompletion());
  assert.equal(called.choices[0].message.tool_calls[0].function.name, 'get_current_weather');
  await t.same(c, (o) => o.responses.create({ model: 'gpt-5', input: 'hello' }));
  const events = await t.same(c, async (o) => t.all(await o.responses.create({ model: 'gpt-5', input: 'hello', stream: true })));
  assert.equal(events.at(-1).type, 'response.completed');
  assert.ok(t.compared > 0);
});

test('embeddings and images', async () => {
  await t.same(c, (o) => o.embeddings.create({ model: 'text-embedding-3-small', input: 'a text', encoding_format: 'float' }));
  await t.same(c, (o) => o.images.generate({ model: 'gpt-image-1', prompt: 'a cat' }));
});

test('uploads and downloads of several megabytes', async () => {
  const data = t.bytes(6 << 20);
  const file = await t.same(c, async (o) => o.files.create({ file: await toFile(data, 'batch ü.jsonl'), purpose: 'batch' }));
  assert.equal(file.id, t.sha256(data));
  assert.equal(file.filename, 'batch ü.jsonl');
  const content = await c.through.files.content(file.id);
  assert.equal(t.sha256(Buffer.from(await content.arrayBuffer())), file.id);
  await t.same(c, async (o) => o.audio.transcriptions.create({ file: await toFile(data.subarray(0, 1 << 20), 'speech.mp3'), model: 'whisper-1' }));
});

test('a 429 is asked again', async () => {
  const before = (await t.calls(c.route)).length;
  await c.through.chat.completions.create(ask('busy-node-openai'), { maxRetries: 2 });
  const calls = (await t.calls(c.route)).slice(before);
  assert.deepEqual(calls.map((x) => x.status), [429, 200]);
});

test('errors are the vendor’s, and a torn stream does not end well', async () => {
  const e = await t.sameFailure(c, (o) => o.chat.completions.create(ask('refused')));
  assert.equal(e.status, 400);
  await t.sameFailure(c, async (o) => t.all(await o.chat.completions.create(ask('torn-x', { stream: true }))));
});

test('a caller who leaves is gone at the vendor', async () => {
  const stream = await c.through.chat.completions.create(ask('endless-node-openai', { stream: true }));
  await t.leaves('node-openai', stream, () => stream.controller.abort());
  const gone = new AbortController();
  const silent = c.through.chat.completions.create(ask('silent-node-openai-silent'), { signal: gone.signal });
  while (!(await t.calls(c.route)).some((x) => x.body.includes('silent-node-openai-silent')));
  gone.abort();
  await assert.rejects(silent, /abort/i);
  assert.equal((await fetch(`${t.given.vendor}/_control/ended/node-openai-silent`)).status, 200);
});

test('a wrong key is told with the gateway’s code', async () => {
  const e = await make(c.route.url, 'tgk_not-a-key').chat.completions.create(ask('gpt-5')).catch((e) => e);
  assert.equal(e.status, 401);
  assert.equal(e.code, 'key_unknown');
});
