// What is promised of large deployments: figures are printed, and only what no machine excuses fails. A machine that is busy with
// something else holds single frames up, and never half of them.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { answerOf, expect, framesOf, heapOf, Load, type Stack, test, told } from './harness/index.ts';

test.use({ deployment: { name: 'scale', edges: 4, args: ['--demo'] } });

const root = join(import.meta.dirname, '../../..');
const keys = 10_000;
const nameOf = (n: number) => `service-${String(n).padStart(5, '0')}`;

/** Makes the keys with files, as their secrets are known elsewhere already. Each is one transaction, which a command waits for. */
async function makeKeys(stack: Stack): Promise<void> {
  const file = join(stack.dir, 'keys.yaml');
  for (let from = 0; from < keys; from += 500) {
    const lines = Array.from({ length: 500 }, (_, i) => `  - { name: ${nameOf(from + i + 1)}, secret_sha256: ${createHash('sha256').update(`scale ${from + i}`).digest('hex')} }`);
    writeFileSync(file, `version: 1\nkeys:\n${lines.join('\n')}\n`);
    const made = await stack.cli('apply', '-f', file, '--yes');
    expect(made.code, made.stderr).toBe(0);
  }
}

test('a list of 10,000 keys is there at once and scrolls to its end', { tag: '@long' }, async ({ page, stack }) => {
  test.setTimeout(600_000);
  await makeKeys(stack);
  await page.goto('/');
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible();
  const table = page.getByRole('table', { name: 'Keys' });
  const row = (n: number) => table.getByRole('row', { name: new RegExp(nameOf(n)) });

  const began = performance.now();
  await page.goto('/keys?q=service');
  await expect(row(1)).toBeVisible();
  const first = performance.now() - began;
  const answered = await answerOf(page, 'ListKeys');
  expect(await table.locator('[data-row]').count(), 'rows that are not seen are not there').toBeLessThan(100);

  const region = page.getByRole('region', { name: 'Keys' });
  // In the page, with some frames for each step: steps that are told from outside wait for the test more than for the list.
  const scrolled = (last: string) =>
    region.evaluate(
      (el, text) =>
        new Promise<void>((done) => {
          const frame = (n: number) => {
            if (n % 4 === 0) {
              if (el.textContent?.includes(text)) return done();
              el.scrollBy(0, 4000);
            }
            requestAnimationFrame(() => frame(n + 1));
          };
          frame(0);
        }),
      last,
    );
  const frames = await framesOf(page, () => scrolled(nameOf(keys)));
  await expect(row(keys)).toBeVisible();
  console.log(`list of ${keys} keys: first row after ${first.toFixed(0)} ms, ${answered.toFixed(0)} of them for the answer; while it was scrolled to the end: ${told(frames)}`);
  await expect(table).toHaveAttribute('aria-rowcount', String(keys));
  expect(answered, 'milliseconds to the answer').toBeLessThan(2000);
  expect(frames.p50, 'milliseconds that half of the frames took').toBeLessThan(50);
});

test('500 requests a second are followed for a minute without a jerk, in the same memory', { tag: '@long' }, async ({ page, stack }) => {
  test.setTimeout(240_000);
  await page.goto('/requests?live=1&all=1');
  await expect(page.getByText('Live', { exact: true }).last()).toBeVisible();
  const live = page.getByRole('table', { name: 'Live' });
  // Without a key they are refused and cost nothing; the list shows them as any other.
  const load = Load.start((n) => ({ url: `${stack.gateways[n % 4]}/bria/load/${n}` }), 500);
  await expect(live).toHaveAttribute('aria-rowcount', '2000', { timeout: 60_000 });
  const before = await heapOf(page);
  const sent = load.sent;
  const frames = await framesOf(page, () => expect.poll(() => load.sent - sent, { timeout: 120_000 }).toBeGreaterThanOrEqual(30_000));
  await load.stop();
  const after = await heapOf(page);
  console.log(`live list at 500 requests a second: ${told(frames)}; heap ${before.toFixed(1)} MB, then ${after.toFixed(1)} MB`);
  expect(load.failed).toBe(0);
  await expect(live).toHaveAttribute('aria-rowcount', '2000');
  expect(after, 'megabytes, of a list that is as long').toBeLessThan(before * 1.5);
  expect(frames.p50, 'milliseconds that half of the frames took').toBeLessThan(50);
});

test('usage of ten million requests is there within a second', { tag: '@long' }, async ({ page, stack }) => {
  const records = Number(process.env.RECORDS ?? 10_000_000);
  test.setTimeout(1_800_000);
  const { database } = JSON.parse(readFileSync(join(stack.dir, 'data/.tollgate/cli.json'), 'utf8')) as { database: string };
  const filling = performance.now();
  await promisify(execFile)(join(root, '.tmp/e2e-bin/fill'), ['--database', stack.secret(database), '--records', String(records)], { timeout: 1_700_000 });
  const filled = performance.now() - filling;
  const paint = async (path: string) => {
    const began = performance.now();
    await page.goto(path);
    await expect(page.getByRole('status').filter({ hasText: / in \d+ days/ })).toBeVisible();
    const seen = performance.now() - began;
    const answered = await answerOf(page, 'QueryUsage');
    return { answered, told: `after ${seen.toFixed(0)} ms, ${answered.toFixed(0)} of them for the answer` };
  };
  await page.goto('/');
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible();
  const week = await paint('/usage');
  const month = await paint('/usage?from=-30d&group=key');
  const edges = await paint('/usage?group=edge&compare=0');
  console.log(
    `usage of ${records.toLocaleString('en')} requests, made in ${(filled / 1000).toFixed(0)} s: 7 days by endpoint ${week.told}; 30 days by key ${month.told}; 7 days by edge ${edges.told}`,
  );
  expect(week.answered, 'milliseconds to the answer').toBeLessThan(4000);
});
