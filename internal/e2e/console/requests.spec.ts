import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import { axe, type Call, expect, framesOf, heapOf, Load, shot, type Stack, test, told as framesTold } from './harness/index.ts';

test.use({ deployment: { name: 'requests', edges: 4, args: ['--sample-data', '--sample-traffic', '0'] } });
test.describe.configure({ mode: 'serial' });

/** Secrets of keys of the sample data. */
function keysOf(stack: Stack): Record<string, string> {
  const { keys } = JSON.parse(readFileSync(join(stack.dir, 'data/sample.json'), 'utf8')) as { keys: Record<string, string> };
  for (const secret of Object.values(keys)) stack.secret(secret);
  return keys;
}

interface Told {
  seen?: { status: number; endpoint: string };
  records: unknown[];
}
const told = (stack: Stack, requestId: string) => stack.call<Told>('RequestService/GetRequest', { requestId });

test.describe('with a keyboard only', () => {
  test.use({ keyboardOnly: true });

  test('a request id alone says why it failed, and what mends it', { tag: '@task' }, async ({ page, person, stack }) => {
    const failed = await fetch(`${stack.gateways[1]}/wants-token/v1/things`, { method: 'POST', headers: { authorization: `Bearer ${keysOf(stack)['ci-bot']}` }, body: '{}' });
    expect(failed.status).toBe(401);
    const id = failed.headers.get('x-tollgate-request-id')!;
    // It is known when its edge has told of it, and booked.
    await expect.poll(() => told(stack, id).then((r) => r.records.length, () => 0)).toBeGreaterThan(0);
    const before = await told(stack, id);
    await page.goto('/');
    await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible();

    await person.press('ControlOrMeta+k');
    await person.paste(id);
    await expect(page.getByRole('dialog').getByText(id).first()).toBeVisible();
    await person.press('Enter');
    await expect(page.getByRole('heading', { level: 1, name: id })).toBeVisible();
    const main = page.getByRole('main');
    await expect(main.getByText(/The target refused the credentials\. Authorization comes from secret wants-token v1/)).toBeVisible();
    await axe(page);

    await person.click(main.getByRole('button', { name: 'Replace secret' }));
    const dialog = page.getByRole('dialog', { name: 'Replace secret wants-token' });
    await person.paste(stack.secret('demo-right-token'), dialog.getByLabel('New value'));
    await person.click(dialog.getByRole('button', { name: 'Save' }));
    await expect(dialog).toHaveCount(0);
    await expect(page.getByText('Live on 4/4 edges')).toBeVisible();
    await person.click(main.getByRole('button', { name: 'Send again' }).first());
    const drawer = page.getByRole('dialog', { name: /wants-token/ });
    await person.click(drawer.getByRole('button', { name: /^Send/ }));
    await expect(drawer.getByText('200 OK')).toBeVisible();
    await expect(drawer.getByText('ci-bot').first()).toBeVisible();
    person.tookAtMost(8);

    // What was is as it was.
    expect(await told(stack, id)).toEqual(before);
    await page.reload();
    await expect(main.getByText(/comes from secret wants-token v2, changed/)).toBeVisible();
    await expect(main.getByText('401').first()).toBeVisible();
    await page.goto('/audit?q=wants-token');
    await expect(main.getByText('rotate').first()).toBeVisible();
    await expect(main.getByText(stack.owner.email).or(main.getByText(stack.owner.name)).first()).toBeVisible();
    expect(stack.leaks(await page.content())).toEqual([]);
    const audit = await stack.call('AuditService/ListAuditEntries', { filter: 'wants-token' });
    expect(stack.leaks(JSON.stringify(audit))).toEqual([]);
  });
});

const rows = (page: Page) => page.getByRole('table', { name: 'Live' }).locator('[data-row]');
const kept = async (page: Page) => Number(await page.getByRole('table', { name: 'Live' }).getAttribute('aria-rowcount'));
const tail = /RequestService\/TailRequests/;

/** What else happens while somebody looks for errors of one endpoint. */
function bustle(stack: Stack): (n: number) => Call {
  const keys = keysOf(stack);
  const gateway = (n: number) => stack.gateways[n % stack.gateways.length]!;
  const paid = { method: 'POST', headers: { authorization: `Bearer ${keys.campaigns}`, 'content-type': 'application/json' }, body: '{"prompt": "a book"}' };
  return (n) => {
    if (n % 100 === 7) return { url: `${gateway(n)}/bria/v1/text-to-image/base/2.3`, ...paid };
    return { url: `${gateway(n)}/${n % 2 ? 'bria' : 'rerank'}/watched/${n}` };
  };
}

test('errors of one endpoint are watched as they happen, one is stopped at, and a link shows it to others', { tag: '@task' }, async ({ page, person, stack, browser, session, watch }) => {
  await page.goto('/');
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible();
  const load = Load.start(bustle(stack), 200);
  await person.press('g r');
  await expect(page.getByRole('heading', { level: 1, name: 'Requests' })).toBeVisible();
  await person.press('l');
  await expect(page.getByRole('button', { name: 'Pause' })).toBeVisible();
  const filter = page.getByRole('searchbox', { name: 'Filter' });
  await person.fill(filter, 'endpoint:bria status:4xx,5xx');
  await person.press('Enter');
  await expect(page.getByRole('button', { name: 'Endpoint is bria', exact: true })).toBeVisible();
  await expect(page.getByRole('button', { name: 'Status is 4xx, 5xx', exact: true })).toBeVisible();
  await expect(filter).toHaveValue('');
  await expect.poll(() => rows(page).count()).toBeGreaterThan(5);

  await person.press('l');
  await expect(page.getByRole('button', { name: 'Resume' })).toBeVisible();
  await expect(page.getByRole('button', { name: /▲ \d+ new/ })).toBeVisible();
  for (const row of await rows(page).all()) {
    const cells = row.getByRole('cell');
    expect(await cells.nth(1).innerText()).toMatch(/[45]\d\d/);
    expect(await cells.nth(4).innerText()).toBe('bria');
  }
  const still = await rows(page).first().getAttribute('data-row');
  const waiting = async () => Number(/\d+/.exec(await page.getByRole('button', { name: /▲ \d+ new/ }).innerText())![0]);
  const first = await waiting();
  await expect.poll(waiting).toBeGreaterThan(first);
  expect(await rows(page).first().getAttribute('data-row'), 'nothing moves while it is paused').toBe(still);

  await person.click(rows(page).first());
  const drawer = page.getByRole('dialog', { name: /^req_/ });
  await expect(drawer.getByText('No key was sent to endpoint bria.')).toBeVisible();
  await person.click(drawer.getByRole('button', { name: 'Copy link' }));
  person.tookAtMost(9);
  const link = await page.evaluate(() => navigator.clipboard.readText());
  await load.stop();
  await axe(page);
  await shot(page, 'requests-live-open');

  const other = await browser.newContext({ storageState: await session() });
  await watch.over(other, stack.url);
  const fresh = await other.newPage();
  await fresh.goto(link);
  await expect(fresh.getByRole('dialog', { name: (await drawer.getByText(/^req_/).first().innerText()).trim() })).toBeVisible();
  await expect(fresh.getByRole('dialog').getByText('No key was sent to endpoint bria.')).toBeVisible();
  await fresh.keyboard.press('Escape');
  await expect(fresh.getByRole('button', { name: 'Endpoint is bria', exact: true })).toBeVisible();
  await expect(fresh.getByRole('button', { name: 'Status is 4xx, 5xx', exact: true })).toBeVisible();
  await other.close();
});

test('a tab that nobody sees follows nothing, and fills in what it missed', async ({ page, stack }) => {
  const ended = (seen: boolean) =>
    page.evaluate((state) => {
      Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => state });
      document.dispatchEvent(new Event('visibilitychange'));
    }, seen ? 'visible' : 'hidden');
  const call = (n: number) => fetch(`${stack.gateways[0]}/bria/unseen/${n}`);
  await page.goto('/requests?live=1&q=unseen');
  await expect(page.getByText('Live', { exact: true }).last()).toBeVisible();
  await call(1);
  await expect(page.getByText('/bria/unseen/1')).toBeVisible();
  const stopped = page.waitForEvent('requestfailed', (r) => tail.test(r.url()));
  await ended(false);
  await stopped;
  await call(2);
  const again = page.waitForRequest((r) => tail.test(r.url()));
  await ended(true);
  await again;
  await expect(page.getByText('/bria/unseen/2')).toBeVisible();
  await expect(page.getByText('/bria/unseen/1')).toBeVisible();
});

test('a busy gateway is followed without loss, in bounded memory', async ({ page, stack }) => {
  const mark = 'busy';
  await page.goto(`/requests?live=1&all=1&q=${mark}`);
  await expect(page.getByText('Live', { exact: true }).last()).toBeVisible();
  const send = async (n: number) => {
    const load = Load.start((i) => ({ url: `${stack.gateways[i % 4]}/bria/${mark}/${i}` }), 250, n);
    await expect.poll(() => load.done, { timeout: 60_000 }).toBe(true);
    await load.stop();
    expect(load.failed).toBe(0);
  };
  await send(1500);
  await expect.poll(() => kept(page)).toBe(1500);
  await send(700);
  await expect.poll(() => kept(page), 'no more than are kept').toBe(2000);
  const before = await heapOf(page);
  const frames = await framesOf(page, async () => {
    await send(1000);
    await expect(page.getByText(`/bria/${mark}/999`)).toBeVisible();
  });
  const after = await heapOf(page);
  console.log(`live list at 250 requests a second: ${framesTold(frames)}; heap ${before.toFixed(1)} MB, then ${after.toFixed(1)} MB`);
  expect(await kept(page)).toBe(2000);
  await expect(page.getByText('some requests may be missing here')).toHaveCount(0);
  expect(after, 'a full list stays as large as it is').toBeLessThan(before * 1.5);
});
