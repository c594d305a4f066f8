// What calls of the vendors' libraries cost by the prices of the vendors' templates.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { after, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import { Mistral } from '@mistralai/mistralai';
import { CohereClientV2 } from 'cohere-ai';
import OpenAI, { toFile } from 'openai';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import { WebSocketServer } from 'ws';
import * as t from '../through.mjs';

const cli = (...args) => execFileSync(t.given.tollgate, args, { cwd: t.given.dir, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
const messages = [{ role: 'user', content: 'Olá 🙂' }];

const wanted = new Map(); // by the id of the request

/** charged makes a call and notes what the books must say of it. */
async function charged(meter, model, counts, cost, call) {
  const got = await call();
  wanted.set(t.answered, { meter, model, counts, cost });
  return got;
}

test('OpenAI', async () => {
  const c = t.both('openai', (url, apiKey) => new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 }));
  const ask = { model: 'gpt-5', messages };
  await charged('chat', 'gpt-4o-mini-2024-07-18', 'prompt=12,completion=5,cached=0,audio_in=0,audio_out=0', '0.0000048', () =>
    t.same(c, (o) => o.chat.completions.create(ask)),
  );
  const counts = 'prompt=19,completion=75,cached=0,audio_in=0,audio_out=0';
  const plain = await charged('chat', 'gpt-5-2025-08-07', counts, '0.00077375', () =>
    t.same(c, async (o) => t.all(await o.chat.completions.create({ ...ask, stream: true }))),
  );
  assert.ok(plain.length > 3 && plain.every((p) => p.choices.length > 0 && !p.usage), 'nobody asked for usage');
  const { body } = (await t.calls(c.route)).at(-1);
  assert.deepEqual(JSON.parse(body), { ...ask, stream: true, stream_options: { include_usage: true } });
  const told = await charged('chat', 'gpt-5-2025-08-07', counts, '0.00077375', () =>
    t.same(c, async (o) => t.all(await o.chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } }))),
  );
  assert.deepEqual(told.filter((p) => p.usage).map((p) => p.usage.total_tokens), [94]);
  await charged('responses', 'gpt-4.1-nano-2025-04-14', 'input=21,output=3,cached=0,web_searches=0,file_searches=0,code_calls=0', '0.0000033', () =>
    t.same(c, (o) => o.responses.create({ model: 'gpt-4.1-nano', input: 'hello' })),
  );
  await charged('responses', 'gpt-4o-2024-08-06', 'input=20,output=3,cached=0,web_searches=0,file_searches=0,code_calls=0', '0.00008', () =>
    t.same(c, async (o) => t.all(await o.responses.create({ model: 'gpt-4o', input: 'hello', stream: true }))),
  );
  await charged('embeddings', 'text-embedding-3-small', 'prompt=5', '0.0000001', () =>
    t.same(c, (o) => o.embeddings.create({ model: 'text-embedding-3-small', input: 'a text' })),
  );
  await charged('images', 'dall-e-2', 'images=1,seen=1', '0.016', () => t.same(c, (o) => o.images.generate({ model: 'dall-e-2', prompt: 'a cat', size: '256x256' })));
  await charged('transcriptions', 'whisper-1', 'usage=7', '0.0007', () =>
    t.same(c, async (o) => o.audio.transcriptions.create({ file: await toFile(t.bytes(300_000), 'speech.mp3'), model: 'whisper-1' })),
  );
});

test('Anthropic', async () => {
  const c = t.both('anthropic', (baseURL, apiKey) => new Anthropic({ baseURL, apiKey, maxRetries: 0 }));
  await charged('messages', 'claude-haiku-4-5-20251001', 'input=16,cache_read=0,cache_write=0,cache_write_1h=0,output=28', '0.000156', () =>
    t.same(c, async (a) => t.all(await a.messages.create({ model: 'claude-haiku-4-5', max_tokens: 1000, messages, stream: true }))),
  );
});

test('Gemini', async () => {
  const c = t.both('gemini', (baseUrl, apiKey) => new GoogleGenAI({ apiKey, httpOptions: { baseUrl } }));
  const shown = ({ candidates, usageMetadata, modelVersion }) => ({ candidates, usageMetadata, modelVersion });
  await charged('generate', 'gemini-2.5-flash', 'prompt=11,candidates=2,thoughts=21', '0.0000608', () =>
    t.same(c, async (o) => (await t.all(await o.models.generateContentStream({ model: 'gemini-2.5-flash', contents: 'Olá 🙂' }))).map(shown)),
  );
});

test('Cohere', async () => {
  const c = t.both('cohere', (baseUrl, token) => new CohereClientV2({ baseUrl, token, maxRetries: 0 }));
  const tools = [{ type: 'function', function: { name: 'Person', description: 'a person', parameters: { type: 'object', properties: {} } } }];
  await charged('rerank', 'rerank-v3.5', 'searches=1', '0.002', () =>
    t.same(c, (o) => o.rerank({ model: 'rerank-v3.5', query: 'capital', documents: ['Carson City', 'Washington'] })),
  );
  await charged('chat', 'command-a-03-2025', 'input=23,output=41', '0.0004675', () =>
    t.same(c, async (o) => t.all(await o.chatStream({ model: 'command-a-03-2025', messages, tools }))),
  );
});

test('Mistral', async () => {
  const c = t.both('mistral', (serverURL, apiKey) => new Mistral({ serverURL, apiKey }));
  await charged('chat', 'mistral-small-latest', 'prompt=22,completion=8,cached=0', '0.00000276', () =>
    t.same(c, (o) => o.chat.complete({ model: 'mistral-small-latest', messages })),
  );
  await charged('ocr', 'mistral-ocr-latest', 'pages=1', '0.004', () =>
    t.same(c, (o) => o.ocr.process({ model: 'mistral-ocr-latest', document: { type: 'document_url', documentUrl: 'https://example.com/a.pdf' } })),
  );
});

// The usage of a recorded answer.
const usage = {
  total_tokens: 205,
  input_tokens: 41,
  output_tokens: 164,
  input_token_details: { text_tokens: 14, audio_tokens: 27, image_tokens: 0, cached_tokens: 0, cached_tokens_details: { text_tokens: 0, audio_tokens: 0, image_tokens: 0 } },
  output_token_details: { text_tokens: 28, audio_tokens: 136 },
};
const compressions = [];
const server = createServer();
const sockets = new WebSocketServer({ server, perMessageDeflate: { threshold: 0 } });
sockets.on('connection', (peer) => {
  compressions.push(peer.extensions);
  const say = (event) => peer.send(JSON.stringify(event));
  say({ type: 'session.created', session: { type: 'realtime', model: 'gpt-realtime' } });
  peer.on('message', () => {
    for (let i = 0; i < 20; i++) say({ type: 'response.output_audio.delta', delta: t.bytes(3000, i).toString('base64') });
    say({ type: 'response.done', response: { status: 'completed', usage } });
  });
});
after(() => {
  for (const peer of sockets.clients) peer.terminate();
  server.close();
});

test('OpenAI realtime', async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const name = 'metered-realtime';
  cli('endpoint', 'create', name, '--template', 'openai', '--path', `/${name}`, '--target', `http://127.0.0.1:${server.address().port}`);
  const known = () => cli('explain', 'POST', `/${name}/v1/embeddings`, '--key', 'metered').includes(`may call endpoint ${name}`);
  for (const end = Date.now() + 20_000; !known(); await pause(30)) assert.ok(Date.now() < end, 'an edge knows the endpoint');
  const client = new OpenAI({ baseURL: `${t.given.gateway}/${name}/v1`, apiKey: t.given.routes.openai.key });
  const fresh = { serverNoContextTakeover: true, clientNoContextTakeover: true, threshold: 0 };
  for (const [perMessageDeflate, agreed] of [
    [false, ''],
    [{ threshold: 0 }, 'permessage-deflate'],
    [fresh, 'permessage-deflate; server_no_context_takeover; client_no_context_takeover'],
  ]) {
    // The library speaks TLS only, and this gateway does not.
    const options = { perMessageDeflate, createConnection: ({ host, port }) => connect({ host, port }) };
    const realtime = new OpenAIRealtimeWS({ model: 'gpt-realtime', options }, client);
    let headers;
    realtime.socket.on('upgrade', (response) => (headers = response.headers));
    await new Promise((resolve, reject) => {
      let answers = 0;
      realtime.on('error', reject);
      realtime.on('session.created', () => realtime.send({ type: 'response.create' }));
      realtime.on('response.done', () => (++answers < 2 ? realtime.send({ type: 'response.create' }) : resolve()));
    });
    assert.equal(headers['sec-websocket-extensions'] ?? '', agreed);
    realtime.close();
    await once(realtime.socket, 'close');
    const counts = 'text_in=28,audio_in=54,image_in=0,text_cached=0,audio_cached=0,text_out=56,audio_out=272';
    wanted.set(headers['x-tollgate-request-id'], { meter: 'realtime', model: 'gpt-realtime', counts, cost: '0.020144' });
  }
  assert.deepEqual(compressions, ['', 'permessage-deflate', 'permessage-deflate']);
});

test('each costs in the books what it must', async () => {
  assert.equal(wanted.size, 17);
  let booked;
  for (let left = 100; left > 0; left--, await pause(100)) {
    const all = JSON.parse(cli('requests', 'list', '--key', 'metered', '--limit', '1000', '-o', 'json'));
    booked = new Map(all.filter((b) => wanted.has(b.requestId)).map((b) => [b.requestId, b]));
    if (booked.size === wanted.size) break;
  }
  for (const [id, want] of wanted) {
    const { meter, model, counts, cost, unpriced } = booked.get(id) ?? {};
    const told = Object.fromEntries(want.counts.split(',').map((count) => count.split('=')));
    assert.deepEqual({ meter, model, counts, cost: cost?.amount, unpriced: unpriced ?? false }, { ...want, counts: told, unpriced: false });
  }
});
