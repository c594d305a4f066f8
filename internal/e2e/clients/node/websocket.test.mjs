import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import WebSocket, { WebSocketServer } from 'ws';
import { given } from './through.mjs';

const cli = (...args) => execFileSync(given.tollgate, args, { cwd: given.dir, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });

// The vendor: what is asked of it is in the path.
const upgrades = []; // heads of requests that have arrived
const opened = []; // the vendor's side of each connection
const waiting = [];
const server = createServer((_, response) => response.writeHead(426).end());
const sockets = new WebSocketServer({
  noServer: true,
  perMessageDeflate: true,
  handleProtocols: (offered) => [...offered][0],
});
server.on('upgrade', (request, socket, head) => {
  upgrades.push({ url: request.url, headers: request.headers, raw: [request.url, ...request.rawHeaders].join('\n') });
  if (request.url.startsWith('/refuse')) {
    socket.end('HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: 9\r\nConnection: close\r\n\r\nnot today');
    return;
  }
  socket.cork(); // the 101 and what is sent at once leave in one piece
  sockets.handleUpgrade(request, socket, head, (peer) => {
    if (request.url.startsWith('/greet')) peer.send('hello before anything');
    peer.on('error', () => {});
    peer.on('message', (data, binary) => peer.send(data, { binary }));
    opened.push(peer);
    waiting.shift()?.(peer);
  });
  process.nextTick(() => socket.uncork());
});

/** peer is the vendor's side of the connection that f opens. */
async function peerOf(f) {
  const other = new Promise((resolve) => waiting.push(resolve));
  const client = f();
  client.on('error', () => {});
  const [peer] = await Promise.all([other, once(client, 'open')]);
  return [client, peer];
}

let key;
let url;

const known = () => {
  try {
    return cli('explain', 'GET', '/node-ws/x', '--key', 'node-ws').includes('may call endpoint node-ws');
  } catch {
    return false; // no edge knows the key yet
  }
};

before(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const target = `http://127.0.0.1:${server.address().port}`;
  cli('endpoint', 'create', 'node-ws', '--path', '/node-ws', '--target', target, '--header', 'Authorization: Bearer ${env:VENDOR_KEY}', '--price', '0.25');
  key = cli('key', 'create', 'node-ws', '--endpoint', 'node-ws').trim();
  for (const end = Date.now() + 20_000; !known(); await pause(30)) assert.ok(Date.now() < end, 'an edge knows the endpoint');
  url = given.gateway.replace('http', 'ws') + '/node-ws';
});
after(() => {
  for (const peer of opened) peer.terminate();
  server.close();
  server.closeAllConnections();
});

const open = (path = '/', protocols = [], options = {}) =>
  new WebSocket(url + path, protocols, { headers: { authorization: `Bearer ${key}` }, ...options });

test('text and binary messages come back as they were sent', async () => {
  const [client] = await peerOf(() => open('/echo?model=gpt-realtime'));
  assert.equal(client.extensions, 'permessage-deflate');
  const sent = ['', 'Olá 🙂', randomBytes(1 << 20), 'x'.repeat(1 << 20), ...Array.from({ length: 200 }, (_, i) => `message ${i}`)];
  const got = [];
  const done = new Promise((resolve) =>
    client.on('message', (data, binary) => {
      got.push(binary ? data : data.toString());
      if (got.length === sent.length) resolve();
    }),
  );
  for (const m of sent) client.send(m);
  await done;
  assert.deepEqual(got, sent);
  client.close();
  await once(client, 'close');
  assert.equal(upgrades.at(-1).url, '/echo?model=gpt-realtime');
});

test('a key among the subprotocols opens the gateway and stays there', async () => {
  const offered = ['realtime', `openai-insecure-api-key.${key}`, 'openai-beta.realtime-v1'];
  const [client] = await peerOf(() => new WebSocket(`${url}/protocols`, offered));
  assert.equal(client.protocol, 'realtime');
  assert.equal(upgrades.at(-1).headers['sec-websocket-protocol'].replaceAll(' ', ''), 'realtime,openai-beta.realtime-v1');
  client.close();
  await once(client, 'close');
});

test('pings are answered by the other side, not by the gateway', async () => {
  const [client, peer] = await peerOf(() => open());
  const seen = once(peer, 'ping');
  client.ping('from the client');
  assert.equal(String((await seen)[0]), 'from the client');
  assert.equal(String((await once(client, 'pong'))[0]), 'from the client');
  const [pinged, ponged] = [once(client, 'ping'), once(peer, 'pong')];
  peer.ping('from the vendor');
  assert.equal(String((await pinged)[0]), 'from the vendor');
  assert.equal(String((await ponged)[0]), 'from the vendor');
  client.terminate();
});

test('codes and reasons of a close go both ways', async () => {
  let [client, peer] = await peerOf(() => open());
  let other = once(peer, 'close');
  client.close(4001, 'enough 🙂');
  let [code, reason] = await other;
  assert.deepEqual([code, String(reason)], [4001, 'enough 🙂']);
  [client, peer] = await peerOf(() => open());
  other = once(client, 'close');
  peer.close(4002, 'shutting down');
  [code, reason] = await other;
  assert.deepEqual([code, String(reason)], [4002, 'shutting down']);
});

test('who breaks off is seen by the other side soon', async () => {
  let [client, peer] = await peerOf(() => open());
  let other = once(peer, 'close');
  client.terminate();
  assert.equal((await Promise.race([other, pause(5000, ['late'], { ref: false })]))[0], 1006);
  [client, peer] = await peerOf(() => open());
  other = once(client, 'close');
  peer.terminate();
  assert.equal((await Promise.race([other, pause(5000, ['late'], { ref: false })]))[0], 1006);
});

test('what the vendor sends together with its 101 arrives', async () => {
  const client = open('/greet');
  const [data] = await once(client, 'message');
  assert.equal(String(data), 'hello before anything');
  client.close();
  await once(client, 'close');
});

test('what a client sends right behind its request arrives', async () => {
  const { hostname, port } = new URL(given.gateway);
  const socket = connect(Number(port), hostname);
  const frame = Buffer.from([0x81, 0x85, 1, 2, 3, 4, 'h'.charCodeAt() ^ 1, 'a'.charCodeAt() ^ 2, 'l'.charCodeAt() ^ 3, 'l'.charCodeAt() ^ 4, 'o'.charCodeAt() ^ 1]);
  const head =
    `GET /node-ws/early HTTP/1.1\r\nHost: ${hostname}:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
    `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer ${key}\r\n\r\n`;
  socket.write(Buffer.concat([Buffer.from(head), frame]));
  let got = Buffer.alloc(0);
  for await (const data of socket) {
    got = Buffer.concat([got, data]);
    if (got.includes(Buffer.from([0x81, 5, ...Buffer.from('hallo')]))) break;
  }
  assert.match(got.toString('latin1'), /^HTTP\/1\.1 101 [\s\S]*sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/i);
  assert.ok(got.includes('hallo'), 'the frame came back');
});

test('a vendor’s refusal is seen as it is', async () => {
  const client = open('/refuse');
  const [, response] = await once(client, 'unexpected-response');
  let body = '';
  for await (const piece of response) body += piece;
  assert.deepEqual([response.statusCode, body], [403, 'not today']);
});

test('a wrong key is refused before anything is sent', async () => {
  const seen = upgrades.length;
  const client = new WebSocket(url, { headers: { authorization: 'Bearer tgk_not-a-key' } });
  const [, response] = await once(client, 'unexpected-response');
  assert.equal(response.statusCode, 401);
  response.resume();
  assert.equal(upgrades.length, seen);
});

test('each connection had the vendor’s credential, none the gateway’s, and each is booked once', async () => {
  for (const { headers, raw } of upgrades) {
    assert.equal(headers.authorization, `Bearer ${given.vendorKey}`);
    assert.ok(!raw.includes(key), raw);
  }
  let booked;
  for (let left = 100; left > 0; left--, await pause(100)) {
    booked = JSON.parse(cli('requests', 'list', '--endpoint', 'node-ws', '--limit', '1000', '-o', 'json'));
    if (booked.length >= upgrades.length) break;
  }
  const statuses = booked.map((b) => b.status).sort();
  assert.deepEqual(statuses, [...Array(upgrades.length - 1).fill(101), 403]);
  assert.deepEqual(booked.map((b) => b.cost.amount), booked.map((b) => (b.status === 101 ? '0.25' : '0.00')));
});
