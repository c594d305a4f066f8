import assert from 'node:assert/strict';
import { test } from 'node:test';
import Anthropic, { toFile } from '@anthropic-ai/sdk';
import * as t from './through.mjs';

const make = (baseURL, apiKey) => new Anthropic({ baseURL, apiKey, maxRetries: 0 });
const c = t.both('anthropic', make);
const ask = (model, more) => ({ model, max_tokens: 1000, messages: [{ role: 'user', content: 'A name for a pelican 🐦' }], ...more });
const tools = [{ name: 'pelican_name_generator', input_schema: { type: 'object', properties: {} } }];

test('messages, streams, tool use and counts', async () => {
  await t.same(c, (a) => a.messages.create(ask('claude-opus-4-1')));
  await t.same(c, (a) => a.messages.create(ask('claude-opus-4-1', { tools })));
  await t.same(c, async (a) => t.all(await a.messages.create(ask('claude-opus-4-1', { stream: true }))));
  const m = await t.same(c, (a) => a.messages.stream(ask('claude-opus-4-1', { tools })).finalMessage());
  assert.equal(m.stop_reason, 'tool_use');
  await t.same(c, (a) => a.messages.countTokens({ model: 'claude-opus-4-1', messages: ask().messages }));
  assert.ok(t.compared > 0);
});

test('an upload of several megabytes', async () => {
  const data = t.bytes(6 << 20, 2);
  const file = await t.same(c, async (a) => a.beta.files.upload({ file: await toFile(data, 'report.pdf', { type: 'application/pdf' }) }));
  assert.equal(file.id, t.sha256(data));
  const call = (await t.calls(c.route)).find((x) => x.path === '/v1/files');
  assert.match(call.Header['Anthropic-Version'][0], /^\d{4}-\d\d-\d\d$/);
});

test('a 429 is asked again', async () => {
  await c.through.messages.create(ask('busy-node-anthropic'), { maxRetries: 2 });
});

test('errors are the vendor’s, and a torn stream does not end well', async () => {
  const e = await t.sameFailure(c, (a) => a.messages.create(ask('refused')));
  assert.equal(e.status, 400);
  await t.sameFailure(c, async (a) => t.all(await a.messages.create(ask('torn-x', { stream: true }))));
});

test('a caller who leaves is gone at the vendor', async () => {
  const stream = await c.through.messages.create(ask('endless-node-anthropic', { stream: true }));
  await t.leaves('node-anthropic', stream, () => stream.controller.abort());
});

test('a wrong key is told', async () => {
  const e = await make(c.route.url, 'tgk_not-a-key').messages.create(ask('claude-opus-4-1')).catch((e) => e);
  assert.equal(e.status, 401);
  assert.equal(e.error.error.code, 'key_unknown');
});
