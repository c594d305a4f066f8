import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { axe, expect, shot, type Stack, test } from './harness/index.ts';

const root = join(import.meta.dirname, '../../..');

test.use({ deployment: { name: 'edges', edges: 2, args: ['--sample-data', '--sample-traffic', '0', '--nats-port', '0'] } });
test.describe.configure({ mode: 'serial' });

/** Edges in processes of their own, which a test can have go wrong. */
class OddEdges {
  private readonly answers: AsyncIterableIterator<string>;
  private constructor(private readonly process: ChildProcessWithoutNullStreams) {
    this.answers = createInterface({ input: process.stdout })[Symbol.asyncIterator]();
  }

  static start(stack: Stack): OddEdges {
    const program = join(root, '.tmp/e2e-bin/oddedges');
    if (!existsSync(program)) throw new Error(`${program} is not there: make e2e-console builds it`);
    const dir = join(stack.dir, 'odd');
    mkdirSync(dir);
    const nats = /NATS\s+(\S+)/.exec(readFileSync(join(stack.dir, 'dev-1.log'), 'utf8'))![1]!;
    const args = ['-binary', join(root, 'bin/tollgate'), '-server', stack.url, '-nats', new URL(nats).host, '-dir', dir];
    return new OddEdges(spawn(program, args, { env: { ...process.env, TOLLGATE_TOKEN: stack.adminToken }, stdio: ['pipe', 'pipe', 'pipe'] }));
  }

  async do(line: string): Promise<string> {
    this.process.stdin.write(`${line}\n`);
    const { value } = await this.answers.next();
    expect(value, line.split(' ', 2).join(' ')).toMatch(/^ok/); // a key may follow
    return value as string;
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.process.once('exit', resolve));
    this.process.stdin.end();
    await ended;
  }
}

let odd: OddEdges;

test.beforeAll(async ({ stack }) => {
  odd = OddEdges.start(stack);
  await odd.do('start lon-2 eu-west-2');
  await odd.do('start ham-1 eu-central-1');
});
test.afterAll(async () => odd.stop());

test('which edge is odd, since when, and what the risk is', { tag: '@task' }, async ({ page, person, stack }) => {
  const { keys } = JSON.parse(readFileSync(join(stack.dir, 'data/sample.json'), 'utf8')) as { keys: Record<string, string> };
  await odd.do(`fail lon-2 ${stack.secret(keys['ci-bot']!)}`);
  await odd.do('hold lon-2');
  await odd.do('silence ham-1');
  for (const text of ['one', 'two', 'three']) await stack.call('TeamService/UpdateTeam', { team: 'ops', description: text, updateMask: 'description' });

  await page.goto('/');
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible();
  await person.press('g n');
  await expect(page.getByRole('heading', { level: 1, name: 'Edges' })).toBeVisible();
  const main = page.getByRole('main');
  await expect(main.getByText(/lon-2 is 3 behind/)).toBeVisible();
  await expect(main.getByText(/ham-1 is silent, last seen/)).toBeVisible({ timeout: 40_000 });
  const row = (name: string) => page.locator(`[data-row="${name}"]`);
  await expect(row('lon-2')).toContainText('behind');
  await expect(row('ham-1')).toContainText('silent');
  await expect(row('ham-1')).not.toContainText('serving');
  await axe(page);
  await shot(page, 'edges-odd');

  await person.click(row('lon-2').getByText('lon-2'));
  await expect(page.getByRole('heading', { level: 1, name: 'lon-2' })).toBeVisible();
  await expect(main.getByText(/It serves revision \d+, 3 behind\. Keys that were revoked/)).toBeVisible();
  const breaker = page.getByRole('row', { name: /flaky.*open/ });
  await expect(breaker.first()).toContainText(/in \d+ s|ago|now/);
  await axe(page);
  person.tookAtMost(3);
});

test('an edge that catches up is live again, and one that is drained says so', async ({ page, person }) => {
  await odd.do('release lon-2');
  await odd.do('wake ham-1');
  await page.goto('/edges');
  await expect(page.getByText('4 edges, 4 serving.')).toBeVisible({ timeout: 40_000 });
  await page.goto('/edges/lon-2');
  await person.click(page.getByRole('button', { name: 'Drain' }));
  await person.click(page.getByRole('dialog').getByRole('button', { name: 'Drain' }));
  await expect(page.getByRole('main').getByText('draining').first()).toBeVisible();
  await person.click(page.getByRole('button', { name: 'End drain' }));
  await expect(page.getByRole('button', { name: 'Drain', exact: true })).toBeVisible();
});

test('a new edge joins by the command that the console shows', async ({ page, person, stack }) => {
  await page.goto('/edges');
  await expect(page.getByRole('heading', { level: 1, name: 'Edges' })).toBeVisible();
  await person.press('n');
  const dialog = page.getByRole('dialog');
  await person.fill(dialog.getByLabel('Name'), 'par-3');
  await person.click(dialog.getByRole('button', { name: 'Make the command' }));
  const command = await dialog.locator('pre').first().innerText();
  const token = /--token[= ](\S+)/.exec(command)![1]!;
  stack.secret(token.replaceAll("'", ''));
  await expect(dialog.getByText('Waiting for the edge…')).toBeVisible();
  await odd.do('start par-3 eu-west-3');
  await expect(dialog.getByText(/par-3 joined and serves revision/)).toBeVisible({ timeout: 40_000 });
  await person.click(dialog.getByRole('button', { name: 'Done' }));
  await expect(page.locator('[data-row="par-3"]')).toBeVisible();
  expect(stack.leaks(await page.content())).toEqual([]);
});
