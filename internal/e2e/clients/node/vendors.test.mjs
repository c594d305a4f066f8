import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GoogleGenAI } from '@google/genai';
import { Mistral } from '@mistralai/mistralai';
import { CohereClientV2 } from 'cohere-ai';
import { Langfuse } from 'langfuse';
import * as t from './through.mjs';

const messages = [{ role: 'user', content: 'How much is 17 ÷ 3? 🙂' }];
const tool = { type: 'function', function: { name: 'Person', description: 'a person', parameters: { type: 'object', properties: {} } } };

test('Cohere', async (at) => {
  const c = t.both('cohere', (baseUrl, token) => new CohereClientV2({ baseUrl, token, maxRetries: 0 }));
  const once = { maxRetries: 0 };
  await at.test('chat, streams, rerank and embed', async () => {
    await t.same(c, (o) => o.chat({ model: 'command-a', messages }));
    await t.same(c, (o) => o.chat({ model: 'command-a', messages, tools: [tool] }));
    await t.same(c, async (o) => t.all(await o.chatStream({ model: 'command-a', messages })));
    const events = await t.same(c, async (o) => t.all(await o.chatStream({ model: 'command-a', messages, tools: [tool] })));
    assert.ok(events.some((e) => e.type === 'tool-call-start'));
    await t.same(c, (o) => o.rerank({ model: 'rerank-v3.5', query: 'capital', documents: ['Carson City', 'Washington'] }));
    await t.same(c, (o) => o.embed({ model: 'embed-v4.0', texts: ['a'], inputType: 'search_query', embeddingTypes: ['float'] }));
  });
  await at.test('trouble', async () => {
    const e = await t.sameFailure(c, (o) => o.chat({ model: 'refused', messages }, once));
    assert.equal(e.statusCode, 400);
    await t.sameFailure(c, async (o) => t.all(await o.chatStream({ model: 'torn-x', messages }, once)));
    await c.through.chat({ model: 'busy-node-cohere', messages }, { maxRetries: 2 });
    const gone = new AbortController();
    const stream = await c.through.chatStream({ model: 'endless-node-cohere', messages }, { ...once, abortSignal: gone.signal });
    await t.leaves('node-cohere', stream, () => gone.abort());
  });
});

test('Mistral', async (at) => {
  const c = t.both('mistral', (serverURL, apiKey) => new Mistral({ serverURL, apiKey }));
  await at.test('chat, streams, embeddings, OCR and uploads', async () => {
    await t.same(c, (o) => o.chat.complete({ model: 'mistral-small', messages }));
    await t.same(c, async (o) => t.all(await o.chat.stream({ model: 'mistral-small', messages })));
    const events = await t.same(c, async (o) => t.all(await o.chat.stream({ model: 'mistral-small', messages, tools: [tool] })));
    assert.ok(events.some((e) => e.data.choices[0].delta.toolCalls));
    await t.same(c, (o) => o.embeddings.create({ model: 'mistral-embed', inputs: ['a'] }));
    await t.same(c, (o) => o.ocr.process({ model: 'mistral-ocr', document: { type: 'document_url', documentUrl: 'https://example.com/a.pdf' } }));
    const data = t.bytes(4 << 20, 3);
    const file = await t.same(c, (o) => o.files.upload({ file: { fileName: 'b.jsonl', content: data }, purpose: 'batch' }));
    assert.equal(file.id, t.sha256(data));
  });
  await at.test('trouble', async () => {
    const e = await t.sameFailure(c, (o) => o.chat.complete({ model: 'refused', messages }));
    assert.equal(e.statusCode, 401);
    await t.sameFailure(c, async (o) => t.all(await o.chat.stream({ model: 'torn-x', messages })));
    const retries = { strategy: 'backoff', backoff: { initialInterval: 10, maxInterval: 50, exponent: 1.5, maxElapsedTime: 5000 }, retryConnectionErrors: false };
    await c.through.chat.complete({ model: 'busy-node-mistral', messages }, { retries });
    const gone = new AbortController();
    const stream = await c.through.chat.stream({ model: 'endless-node-mistral', messages }, { fetchOptions: { signal: gone.signal } });
    await t.leaves('node-mistral', stream, () => gone.abort());
  });
});

test('Gemini', async (at) => {
  const c = t.both('gemini', (baseUrl, apiKey) => new GoogleGenAI({ apiKey, httpOptions: { baseUrl } }));
  const contents = 'Why is the sky blue? 🙂';
  const tools = [{ functionDeclarations: [{ name: 'weather', parameters: { type: 'OBJECT', properties: { city: { type: 'STRING' } } } }] }];
  await at.test('answers, streams, tools, counts and embeddings', async () => {
    const shown = ({ candidates, usageMetadata, modelVersion }) => ({ candidates, usageMetadata, modelVersion }); // the rest has this answer's headers
    await t.same(c, async (o) => shown(await o.models.generateContent({ model: 'gemini-2.5-flash', contents })));
    await t.same(c, async (o) => shown(await o.models.generateContent({ model: 'gemini-2.5-flash', contents, config: { tools } })));
    await t.same(c, async (o) => (await t.all(await o.models.generateContentStream({ model: 'gemini-2.5-flash', contents }))).map(shown));
    const called = await t.same(c, async (o) => (await t.all(await o.models.generateContentStream({ model: 'gemini-2.5-flash', contents, config: { tools } }))).map(shown));
    assert.ok(called.some((p) => p.candidates?.[0].content.parts.some((q) => q.functionCall)));
    await t.same(c, async (o) => (await o.models.countTokens({ model: 'gemini-2.5-flash', contents })).totalTokens + ' tokens in all');
    await t.same(c, async (o) => (await o.models.embedContent({ model: 'gemini-embedding-001', contents: ['a', 'b'] })).embeddings);
  });
  await at.test('trouble', async () => {
    const e = await t.sameFailure(c, (o) => o.models.generateContent({ model: 'refused', contents }));
    assert.equal(e.status, 400);
    await t.sameFailure(c, async (o) => t.all(await o.models.generateContentStream({ model: 'torn-x', contents })));
    const gone = new AbortController();
    const stream = await c.through.models.generateContentStream({ model: 'endless-node-gemini', contents, config: { abortSignal: gone.signal } });
    await t.leaves('node-gemini', stream, () => gone.abort());
  });
});

test('Langfuse', async () => {
  const { route } = t.both('langfuse', () => {});
  // Its secret key is the gateway's; both go as a user name and a password.
  const langfuse = new Langfuse({ publicKey: 'pk-any', secretKey: route.key, baseUrl: route.url, flushAt: 1000 });
  const sent = new Set();
  for (let i = 0; i < 20; i++) {
    const trace = langfuse.trace({ name: `run ${i}`, input: { prompt: 'Olá' } });
    trace.generation({ name: 'answer', model: 'gpt-5' }).end({ output: '🙂' });
    sent.add(trace.id);
  }
  await langfuse.flushAsync();
  await langfuse.shutdownAsync();
  const calls = await t.calls(route);
  assert.ok(calls.length > 0 && calls.every((x) => x.status === 207));
  const got = calls.flatMap((x) => JSON.parse(x.body).batch).filter((e) => e.type === 'trace-create').map((e) => e.body.id);
  assert.deepEqual(new Set(got), sent);
  assert.equal(got.length, sent.size);
});
