import { readFileSync } from 'node:fs';
import type { Download, Page } from '@playwright/test';
import { axe, expect, settled, test } from './harness/index.ts';

test.use({ deployment: { name: 'usage', args: ['--sample-data', '--sample-traffic', '0'] } });

interface File {
  name: string;
  head: string[];
  rows: Record<string, string>[];
}

async function read(download: Download): Promise<File> {
  const lines = readFileSync(await download.path(), 'utf8').split('\r\n').filter(Boolean);
  const head = lines.filter((l) => l.startsWith('#'));
  const [names, ...rows] = lines.slice(head.length).map((l) => l.split(','));
  return { name: download.suggestedFilename(), head, rows: rows.map((r) => Object.fromEntries(names!.map((n, i) => [n, r[i] ?? '']))) };
}

/** Dollars of a file as nano-dollars: to the last digit, so not as a number. */
function nanos(text: string): bigint {
  const [whole, part = ''] = text.split('.');
  return BigInt(whole!) * 1_000_000_000n + BigInt(part.padEnd(9, '0'));
}

const cents = (n: bigint) => `$${((n + 5_000_000n) / 1_000_000_000n).toLocaleString('en')}.${String(((n + 5_000_000n) / 10_000_000n) % 100n).padStart(2, '0')}`;
const headline = (page: Page) => page.getByText(/ in 7 days/).and(page.getByRole('status'));

async function exported(page: Page, act: () => Promise<void>): Promise<File> {
  const [download] = await Promise.all([page.waitForEvent('download'), act()]);
  return read(download);
}

for (const keyboardOnly of [false, true]) {
  test.describe(keyboardOnly ? 'by keyboard' : 'by mouse', { tag: keyboardOnly ? ['@long'] : [] }, () => {
    test.use({ keyboardOnly });

    test('what each team spent in the last 7 days, as a file for finance', { tag: '@task' }, async ({ page, person, stack }) => {
      await page.goto('/');
      await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible();
      await person.press('g u');
      await expect(headline(page)).toBeVisible();
      await person.choose(page.getByRole('combobox', { name: 'Group by' }), 'Team');
      await expect(page.getByRole('columnheader', { name: 'Team' })).toBeVisible();
      expect(new URL(page.url()).search).toBe('?group=team');
      await settled(page);
      await person.click(page.getByRole('button', { name: 'Export CSV' }));
      const item = page.getByRole('menuitem', { name: /^This view One row for each group:/ });
      const file = await exported(page, async () => {
        if (!keyboardOnly) return person.click(item);
        // Menus are walked with the arrows.
        await expect(item).toBeVisible();
        await expect(async () => {
          await page.keyboard.press('ArrowDown');
          await expect(item).toBeFocused({ timeout: 200 });
        }).toPass();
        return person.press('Enter');
      });
      // Picking from a list is two steps here; it is one act.
      person.tookAtMost(5);

      expect(file.name).toMatch(/^tollgate-usage_\d{4}-\d\d-\d\d_\d{4}-\d\d-\d\d_by-team\.csv$/);
      expect(file.head.join('\n')).toMatch(/# as of: \d{4}-/);
      expect(file.head.join('\n')).toMatch(/# time zone: (UTC|Europe\/Berlin)/);
      const sum = file.rows.reduce((n, r) => n + nanos(r.cost_usd!), 0n);
      expect(file.head.find((l) => l.startsWith('# total:'))).toBe(`# total: ${file.rows.reduce((n, r) => n + Number(r.requests), 0)} requests, ${file.head.find((l) => l.startsWith('# total:'))!.split(', ')[1]}`);
      await expect(headline(page)).toContainText(cents(sum));
      // The page has the same rows, and the command line the same sum.
      for (const r of file.rows) await expect(page.getByRole('row', { name: new RegExp(`${r.team}.*${cents(nanos(r.cost_usd!)).replace(/[$.]/g, '\\$&')}`) })).toBeVisible();
      const command = await page.locator('[data-cli]').first().getAttribute('data-cli');
      expect(command).toMatch(/^tollgate usage --since 7d --group-by team/);
      const ran = await stack.cli(...command!.split(' ').slice(1), '-o', 'json');
      expect(ran.code, ran.stderr).toBe(0);
      await axe(page);
    });
  });
}

test('groups are isolated by a click and added with Shift, and the address has it', async ({ page, browser, session, stack }) => {
  await page.goto('/usage?group=team&from=-14d');
  const first = page.getByRole('button', { name: /^Show only marketing;/ });
  const second = page.getByRole('button', { name: /^Show only search;/ });
  await first.click();
  await expect(first).toHaveAttribute('aria-pressed', 'true');
  await second.click({ modifiers: ['Shift'] });
  await expect(page).toHaveURL(/only=marketing,search/);
  const other = await browser.newContext({ storageState: await session(), baseURL: stack.url });
  const there = await other.newPage();
  await there.goto(page.url());
  await expect(there.getByRole('button', { name: /^Show only search;/ })).toHaveAttribute('aria-pressed', 'true');
  await expect(there.getByRole('button', { name: /^Show only ops;/ })).toHaveAttribute('aria-pressed', 'false');
  await other.close();
  await page.getByRole('button', { name: 'Show all', exact: true }).click();
  await expect(page).not.toHaveURL(/only=/);
});

test('the range moves with [ and ], and where nothing was used the page says when something was', async ({ page }) => {
  await page.goto('/usage?from=2020-01-01&to=2020-01-07');
  await expect(page.getByText('No usage in 7 days.')).toBeVisible();
  await expect(page.getByText(/^The last request was /)).toBeVisible();
  await page.keyboard.press('[');
  await expect(page).toHaveURL(/from=2019-12-25T00:00:00Z&to=2020-01-01T00:00:00Z/);
  await page.keyboard.press(']');
  await page.getByRole('button', { name: 'Show the last 30 days' }).click();
  await expect(page.getByRole('status').filter({ hasText: ' in 30 days' })).toBeVisible();
});

test('filters hold for the page, its files and its address alike', async ({ page }) => {
  await page.goto('/usage?group=endpoint&from=-14d');
  await expect(page.getByRole('button', { name: /^Show only bria;/ })).toBeVisible();
  await page.getByRole('button', { name: 'Filter' }).click();
  await page.getByRole('menuitem', { name: 'Team' }).click();
  await page.getByRole('combobox', { name: 'Team' }).fill('search');
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/team=search/);
  await expect(page.getByRole('button', { name: /^Show only bria;/ })).toHaveCount(0);
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Export CSV' }).click();
  const file = await exported(page, () => page.getByRole('menuitem', { name: /^Every request/ }).click());
  expect(file.rows.length).toBeGreaterThan(0);
  expect(new Set(file.rows.map((r) => r.team))).toEqual(new Set(['search']));
  expect(file.head.join('\n')).toContain('team=search');
  await axe(page);
});

test('usage is told by edge, as far as records are read for it', async ({ page, stack }) => {
  await page.goto('/usage?group=edge');
  await expect(page.getByRole('columnheader', { name: 'Edge' })).toBeVisible();
  await expect(page.getByText('Added up from the records of requests')).toBeVisible();
  const { total } = await stack.call<{ total: { requests: string } }>('UsageService/QueryUsage', { groupBy: ['USAGE_DIMENSION_TEAM'] });
  const byEdge = await stack.call<{ rows: { edge: string; requests: string }[] }>('UsageService/QueryUsage', { groupBy: ['USAGE_DIMENSION_EDGE'] });
  expect(byEdge.rows.reduce((n, r) => n + Number(r.requests), 0), 'no request is lost between edges').toBe(Number(total.requests));
  for (const { edge } of byEdge.rows) await expect(page.getByRole('button', { name: new RegExp(`^Show only ${edge};`) })).toBeVisible();
  expect(await page.locator('[data-cli]').first().getAttribute('data-cli')).toMatch(/--group-by edge/);
  await axe(page);
  await page.goto('/usage?group=edge&from=-90d');
  await expect(page.getByText(/for 31 days at most: ask for less time/).first()).toBeVisible();
});
