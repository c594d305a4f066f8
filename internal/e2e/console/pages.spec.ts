import type { Page } from '@playwright/test';
import { axe, expect, settled, shot, test } from './harness/index.ts';

test.use({ deployment: { name: 'pages', args: ['--sample-data', '--sample-traffic', '4'] } });

/** An address, the heading that it has, and the name of its picture; empty for none. */
interface Place {
  at: string | ((ids: Ids) => string);
  heading: string | RegExp;
  picture: string;
}

interface Ids {
  key: string;
  budget: string;
  request: string;
  audit: string;
}

const places: Place[] = [
  { at: '/', heading: 'Overview', picture: 'overview' },
  { at: '/endpoints', heading: 'Endpoints', picture: 'endpoints' },
  { at: '/endpoints/new', heading: /New endpoint/, picture: 'endpoint-new' },
  { at: '/endpoints/bria/overview', heading: 'bria', picture: 'endpoint' },
  { at: '/endpoints/rerank/configure', heading: 'rerank', picture: 'endpoint-configure' },
  { at: '/endpoints/rerank/try', heading: 'rerank', picture: 'endpoint-try' },
  { at: '/endpoints/llm/requests', heading: 'llm', picture: '' },
  { at: '/endpoints/llm/usage', heading: 'llm', picture: '' },
  { at: '/endpoints/bria/history', heading: 'bria', picture: 'endpoint-history' },
  { at: '/requests?live=1', heading: 'Requests', picture: 'requests-live' },
  { at: '/requests', heading: 'Requests', picture: 'requests' },
  { at: (ids) => `/requests/${ids.request}`, heading: /req_|Request/, picture: 'request' },
  { at: '/keys', heading: 'Keys', picture: 'keys' },
  { at: '/keys?sel=new', heading: 'Keys', picture: 'key-new' },
  { at: (ids) => `/keys/${ids.key}`, heading: 'mobile', picture: 'key' },
  { at: '/teams', heading: 'Teams', picture: 'teams' },
  { at: '/teams/marketing', heading: 'marketing', picture: 'team' },
  { at: '/secrets', heading: 'Secrets', picture: 'secrets' },
  { at: '/secrets/wants-token', heading: 'wants-token', picture: 'secret' },
  { at: '/budgets', heading: 'Budgets', picture: 'budgets' },
  { at: (ids) => `/budgets/${ids.budget}`, heading: /search/, picture: 'budget' },
  { at: '/usage?from=-14d&group=team', heading: 'Usage', picture: 'usage' },
  { at: '/edges', heading: 'Edges', picture: 'edges' },
  { at: '/edges/edge-1', heading: 'edge-1', picture: 'edge' },
  { at: '/audit', heading: 'Audit log', picture: 'audit' },
  { at: (ids) => `/audit/${ids.audit}`, heading: /./, picture: 'audit-entry' },
  { at: '/settings/general', heading: /Settings/, picture: 'settings-general' },
  { at: '/settings/access', heading: /Settings/, picture: 'settings-access' },
  { at: '/settings/import', heading: /Settings/, picture: 'settings-import' },
  { at: '/settings/retention', heading: /Settings/, picture: '' },
  { at: '/settings/alerts', heading: /Settings/, picture: 'settings-alerts' },
  { at: '/settings/tokens', heading: /Settings/, picture: 'settings-tokens' },
  { at: '/settings/about', heading: /Settings/, picture: 'settings-about' },
  { at: '/account', heading: 'Ada Lovelace', picture: 'account' },
];

let ids: Ids;
/** The commands of the places that were looked at. */
const commands = new Map<Place['at'], string>();

test.beforeAll(async ({ stack }) => {
  const key = await stack.call<{ key: { id: string } }>('KeyService/GetKey', { key: 'mobile' });
  const budgets = await stack.call<{ budgets: { id: string; name: string }[] }>('BudgetService/ListBudgets', {});
  const requests = await stack.call<{ requests: { requestId: string }[] }>('UsageService/ListRequests', { filter: { endpoint: 'bria' }, pageSize: 1 });
  const audit = await stack.call<{ entries: { id: string }[] }>('AuditService/ListAuditEntries', { filter: 'object:bria action:update', pageSize: 1 });
  ids = {
    key: key.key.id,
    budget: budgets.budgets.find((b) => b.name.startsWith('search'))!.id,
    request: requests.requests[0]!.requestId,
    audit: audit.entries[0]!.id,
  };
});

for (const { at, heading, picture } of places) {
  test(`${typeof at === 'string' ? at : (picture || String(heading))} can be read by everyone, fits small screens, and has its command`, { tag: at === '/' ? '@task' : [] }, async ({ page, stack }) => {
    await page.goto(typeof at === 'string' ? at : at(ids));
    await expect(page.getByRole('heading', { level: 1, name: heading })).toBeVisible();
    await expect(page.getByRole('heading', { level: 1 })).toHaveCount(1);
    await settled(page);
    await axe(page);

    // What the page shows can be had in a terminal.
    const command = await page.locator('[data-cli]').first().getAttribute('data-cli');
    expect(command).toMatch(/^tollgate \w/);
    commands.set(at, command!);

    await reflows(page);
    if (picture) await shot(page, picture);
    expect(stack.leaks(await page.content())).toEqual([]);
  });
}

test('every page has a command that works', async ({ page, stack }) => {
  for (const { at } of places) {
    if (commands.has(at)) continue;
    await page.goto(typeof at === 'string' ? at : at(ids));
    commands.set(at, (await page.locator('[data-cli]').first().getAttribute('data-cli'))!);
  }
  const wrong: string[] = [];
  for (const command of new Set(commands.values())) {
    // Those that go on until they are stopped, and those that change something, are asked for their help only.
    const words = command.match(/'[^']*'|"[^"]*"|\S+/g)!.slice(1).map((w) => w.replace(/^(['"])(.*)\1$/, '$2'));
    const reads = /^(whoami|status|usage|spend)$/.test(words[0]!) || /^(list|get|history|export)$/.test(words[1] ?? '') || words[0] === 'export';
    const ran = await stack.cli(...(reads ? words : [...words.filter((w) => !w.startsWith('-')).slice(0, 2), '--help']));
    if (ran.code !== 0) wrong.push(`${command}: ${ran.code} ${ran.stderr}`);
  }
  expect(wrong).toEqual([]);
});

/** Nothing but tables is scrolled sideways, at 400 % of a common screen and on the smallest phone. */
async function reflows(page: Page): Promise<void> {
  const before = page.viewportSize()!;
  await page.setViewportSize({ width: 320, height: 568 });
  await settled(page);
  // What is made for narrow screens takes its place a moment after the screen is narrow.
  const wide = () => page.evaluate(() => {
    const seen = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= seen) return [];
    const scrolls = (el: Element | null): boolean => !!el && el !== document.body && (getComputedStyle(el).overflowX !== 'visible' || scrolls(el.parentElement));
    return [...document.querySelectorAll('body *')]
      .filter((el) => el.getBoundingClientRect().right > seen + 1 && !scrolls(el.parentElement))
      .map((el) => `${el.tagName.toLowerCase()}.${el.className}`.slice(0, 120))
      .slice(0, 8);
  });
  await expect.poll(wide, 'wider than 320 pixels').toEqual([]);
  await page.setViewportSize(before);
}
