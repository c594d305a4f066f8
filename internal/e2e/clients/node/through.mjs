// What the tests of this folder share: where things are, and comparing what a client sees through the gateway
// with what it sees from the vendor itself.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

export const given = JSON.parse(process.env.UNDER_TEST);

// Bodies that were compared with what the vendor says it got.
export let compared = 0;

const sha256 = (data) => createHash('sha256').update(data).digest('hex');

// The id of the request that the gateway answered last.
export let answered;

// Every library here sends with fetch. What it sends is compared with what arrived. Bodies that are made while
// they are sent are compared by their tests.
const plain = globalThis.fetch;
globalThis.fetch = async (resource, init) => {
  let sent = typeof init?.body === 'string' ? init.body : undefined;
  if (resource instanceof Request && resource.method === 'POST' && !resource.headers.get('content-type')?.startsWith('multipart')) {
    sent = Buffer.from(await resource.clone().arrayBuffer());
  }
  const response = await plain(resource, init);
  answered = response.headers.get('x-tollgate-request-id') ?? answered;
  const got = response.headers.get('x-body-sha256');
  if (sent !== undefined && got) {
    assert.equal(got, sha256(sent), 'the vendor got other bytes than were sent');
    compared++;
  }
  return response;
};

/** both makes the client of a vendor twice: in front of the gateway, and at the vendor itself. */
export function both(vendor, make) {
  const route = given.routes[vendor];
  return { through: make(route.url, route.key), direct: make(route.direct, given.vendorKey), route };
}

/** same asserts that a program sees the same both ways, and gives it. */
export async function same({ through, direct }, ask) {
  const got = await ask(through);
  const want = await ask(direct);
  const text = JSON.stringify(want);
  assert.ok(text?.length > 10, `the vendor itself gives ${text}`);
  assert.equal(JSON.stringify(got), text);
  return got;
}

/** sameFailure asserts that a program gets the same error both ways, and gives it. */
export async function sameFailure({ through, direct }, ask) {
  const failure = async (client) => {
    try {
      await ask(client);
    } catch (e) {
      return e;
    }
    return assert.fail('it went well');
  };
  const [got, want] = [await failure(through), await failure(direct)];
  assert.equal(got.constructor.name, want.constructor.name, String(got));
  assert.equal(got.status ?? got.statusCode, want.status ?? want.statusCode);
  assert.equal(got.message, want.message);
  return got;
}

/** all is what a stream gives, piece by piece. */
export async function all(stream) {
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  return pieces;
}

/** calls are those of a route that have reached the vendor by way of the gateway. */
export async function calls(route) {
  return (await plain(`${given.vendor}/_control/calls/${route.name}`)).json();
}

/** leaves asserts that the vendor sees the end of an endless stream soon after abort was called. */
export async function leaves(tag, stream, abort) {
  let seen = 0;
  try {
    for await (const _ of stream) {
      if (++seen === 1) abort();
    }
  } catch (e) {
    assert.match(`${e.name} ${e.constructor.name} ${e.message}`, /abort/i);
  }
  assert.ok(seen > 0, 'the stream began');
  const ended = await plain(`${given.vendor}/_control/ended/${tag}`);
  assert.equal(ended.status, 200, await ended.text());
}

/** bytes are n bytes that look like none other. */
export function bytes(n, seed = 1) {
  const out = Buffer.alloc(n);
  for (let i = 0, x = seed; i < n; i++) {
    x = (Math.imul(x, 1103515245) + 12345) >>> 0;
    out[i] = x >>> 16;
  }
  return out;
}

export { sha256 };
