import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import { expect, type Stack, test } from './harness/index.ts';

// Every way in which a gateway refuses a caller, made to happen once, and what the console says of it and offers to do.
test.use({ deployment: { name: 'errors', edges: 2, args: ['--sample-data', '--sample-traffic', '0'] } });

let secrets: Record<string, string>;
const key = (name: string) => ({ authorization: `Bearer ${secrets[name]}` });

test.beforeAll(async ({ stack }) => {
  secrets = (JSON.parse(readFileSync(join(stack.dir, 'data/sample.json'), 'utf8')) as { keys: Record<string, string> }).keys;
  const made = async (name: string, more: object = {}) => {
    secrets[name] = (await stack.call<{ secret: string }>('KeyService/CreateKey', { name, noDefaults: true, ...more })).secret;
  };
  await made('brief', { expireTime: new Date(Date.now() + 2000).toISOString() });
  await made('gone');
  await made('poor');
  await made('hasty');
  for (const secret of Object.values(secrets)) stack.secret(secret);
  await stack.call('KeyService/RevokeKey', { key: 'gone' });
  await stack.call('BudgetService/CreateBudget', {
    budget: { name: 'poor-month', key: 'poor', amount: { currencyCode: 'USD', units: '4' }, period: 'PERIOD_MONTH', enforcement: 'ENFORCEMENT_HARD' },
  });
  await stack.call('LimitService/CreateLimit', { limit: { name: 'hasty-rate', key: 'hasty', kind: 'LIMIT_KIND_REQUESTS', amount: '1', burst: '1' } });
  await stack.call('SecretService/CreateSecret', { name: 'partner-key', reference: 'env:A_VARIABLE_THAT_NO_EDGE_HAS' });

  const endpoint = async (name: string) => (await stack.call<{ endpoint: { price: object; targets: { url: string }[] } }>('EndpointService/GetEndpoint', { endpoint: name })).endpoint;
  const slow = (await endpoint('slow')).targets[0]!.url;
  const vendor = new URL(slow).origin;
  const create = (name: string, more: object) =>
    stack.call('EndpointService/CreateEndpoint', { endpoint: { name, path: `/${name}`, match: 'MATCH_KIND_PREFIX', price: { free: {} }, targets: [{ url: vendor }], ...more } });
  await create('reads', { methods: ['GET'] });
  await create('small', { maxBodyBytes: '10' });
  await create('nowhere', { targets: [{ url: 'http://127.0.0.1:1' }] });
  await create('impatient', { targets: [{ url: slow }], timeout: '0.2s' });
  await create('blind', { headers: [{ name: 'Authorization', value: 'Bearer ${secret:partner-key}' }] });
  // The answers of this vendor have pages, and no sheets.
  await create('sheets', { price: JSON.parse(JSON.stringify((await endpoint('ocr')).price).replaceAll('usage.pages', 'usage.sheets')) as object });
});

interface Case {
  code: string;
  /** A call that is refused, at once or after a while. */
  call: string;
  method?: string;
  headers?: () => Record<string, string>;
  body?: string;
  fix: string;
  leads: (page: Page) => Promise<void>;
}

const heading = (name: string | RegExp) => (page: Page) => expect(page.getByRole('heading', { level: 1, name })).toBeVisible();
const dialog = (name: string | RegExp) => (page: Page) => expect(page.getByRole('dialog', { name })).toBeVisible();
/** The form of an endpoint, with the focus in a field. */
const field = (endpoint: string, name: string) => async (page: Page) => {
  await expect(page).toHaveURL(new RegExp(`/endpoints/${endpoint}/configure`));
  await expect.poll(() => page.evaluate(() => document.activeElement?.closest<HTMLElement>('[data-field]')?.dataset.field)).toBe(name);
};
const images = { call: '/bria/v1/text-to-image/base/2.3', body: '{"prompt": "a book"}' };

const cases: Case[] = [
  { code: 'key_missing', ...images, fix: 'Use other key', leads: dialog('Try bria') },
  { code: 'key_unknown', ...images, headers: () => ({ authorization: 'Bearer nobody-knows-this-key' }), fix: 'See keys', leads: heading('Keys') },
  { code: 'key_expired', ...images, headers: () => key('brief'), fix: 'Open key', leads: heading('brief') },
  { code: 'key_revoked', ...images, headers: () => key('gone'), fix: 'Open key', leads: heading('gone') },
  { code: 'key_blocked', call: '/rerank/v1/rerank', headers: () => key('old-portal'), fix: 'Open key', leads: heading('old-portal') },
  { code: 'key_not_allowed', ...images, headers: () => key('web'), fix: 'Allow it', leads: heading('web') },
  {
    code: 'endpoint_not_found',
    call: '/brai/v1/x',
    headers: () => key('ci-bot'),
    fix: 'Create endpoint',
    leads: async (page) => {
      await heading('New endpoint')(page);
      await expect(page.getByRole('textbox', { name: 'Path', exact: true })).toHaveValue('/brai');
    },
  },
  { code: 'method_not_allowed', call: '/reads/x', headers: () => key('ci-bot'), fix: 'Edit methods', leads: field('reads', 'methods') },
  {
    code: 'budget_exhausted',
    ...images,
    headers: () => key('poor'),
    fix: 'Raise budget',
    leads: async (page) => {
      await heading('Budgets')(page);
      await expect(page.getByRole('main').getByText('poor-month').first()).toBeVisible();
      await expect(page.getByRole('main').getByText('search').first()).toHaveCount(0);
    },
  },
  { code: 'rate_limited', call: '/rerank/v1/rerank', headers: () => key('hasty'), body: '{"query": "x", "documents": ["x"]}', fix: 'Open key', leads: heading('hasty') },
  { code: 'body_too_large', call: '/small/x', headers: () => key('ci-bot'), body: 'more than ten bytes', fix: 'Raise limit', leads: field('small', 'max_body_bytes') },
  {
    code: 'upstream_unreachable',
    call: '/nowhere/x',
    headers: () => key('ci-bot'),
    fix: 'Probe from all edges',
    leads: async (page) => {
      await dialog('From each edge')(page);
      for (const edge of ['edge-1', 'edge-2']) await expect(page.getByRole('dialog').getByText(edge).first()).toBeVisible();
    },
  },
  { code: 'upstream_timeout', call: '/impatient/x', headers: () => key('ci-bot'), fix: 'Raise limit to 400 ms', leads: field('impatient', 'timeout') },
  {
    code: 'breaker_open',
    call: '/flaky/down',
    headers: () => key('ci-bot'),
    fix: 'View breaker',
    leads: async (page) => {
      await heading('edge-1')(page);
      await expect(page.getByRole('row', { name: /flaky/ }).first()).toBeVisible();
    },
  },
  { code: 'secret_unresolved', call: '/blind/x', headers: () => key('ci-bot'), fix: 'Open secret partner-key', leads: heading('partner-key') },
  { code: 'unpriced', call: '/sheets/v1/ocr', headers: () => key('ci-bot'), body: '{}', fix: 'Open pricing with this response', leads: field('sheets', 'price') },
];

/** Calls until an edge answers as is expected, and returns that answer's id and what the caller was told. */
async function refused(stack: Stack, { code, call, method = 'POST', headers, body }: Case): Promise<{ id: string; message: string }> {
  let id = '';
  let message = '';
  await expect
    .poll(async () => {
      const res = await fetch(stack.gateways[0]! + call, { method, headers: { ...(body?.startsWith('{') ? { 'content-type': 'application/json' } : {}), ...headers?.() }, body: body ?? null });
      id = res.headers.get('x-tollgate-request-id') ?? '';
      const text = await res.text();
      // What an answer costs is known when it has been read, and told a moment later.
      if (res.ok && code === 'unpriced') return expect.poll(() => seen(stack, id).then((s) => s?.unpriced)).toBe(true).then(() => code);
      if (res.ok) return 'ok';
      const { error } = JSON.parse(text) as { error?: { code?: string; message?: string } };
      message = error?.message ?? '';
      return error?.code;
    })
    .toBe(code);
  return { id, message };
}

/** What the edge has told of a request, once it has. */
const seen = (stack: Stack, requestId: string) => stack.call<{ seen?: { unpriced?: boolean } }>('RequestService/GetRequest', { requestId }).then((r) => r.seen, () => undefined);

for (const one of cases) {
  test(`${one.code} is explained, and ${one.fix.toLowerCase()} leads on`, async ({ page, stack }) => {
    const { id, message } = await refused(stack, one);
    await expect.poll(() => seen(stack, id)).toBeDefined();
    await page.goto(`/requests/${id}`);
    const cause = page.getByRole('main').getByRole('alert');
    await expect(cause).toContainText(message || 'The answer had nothing that the price counts, so this request is unpriced.');
    await cause.getByRole('button', { name: one.fix, exact: true }).or(cause.getByRole('link', { name: one.fix, exact: true })).click();
    await one.leads(page);
    expect(stack.leaks(await page.content())).toEqual([]);
  });
}
