import { readFile } from 'node:fs/promises';
import { axe, expect, settled, shot, type Stack, test } from './harness/index.ts';

test.use({ deployment: { name: 'keys', args: ['--sample-data', '--sample-traffic', '0'] } });

const body = JSON.stringify({ prompt: 'a red fox', query: 'a', documents: ['b', 'c'] });

/** One request through an edge: its status, and the code of a refusal. */
async function call(gateway: string, path: string, key: string) {
  const res = await fetch(gateway + path, { method: 'POST', headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' }, body });
  const text = await res.text();
  // What a vendor says no with is its own; the gateway's refusals have a code.
  const error = res.headers.get('content-type')?.startsWith('application/json') && !res.ok ? (JSON.parse(text) as { error?: { code: string; hint: string } }).error : undefined;
  return { status: res.status, code: error?.code ?? '', hint: error?.hint ?? '', headers: res.headers };
}

const everywhere = (stack: Stack, path: string, key: string) => Promise.all(stack.gateways.map(async (g) => (await call(g, path, key)).status));

for (const keyboardOnly of [false, true]) {
  const name = keyboardOnly ? 'ana-keys' : 'ana';

  test.describe(keyboardOnly ? 'with a keyboard only' : 'with a mouse', { tag: keyboardOnly ? ['@long'] : [] }, () => {
    test.use({ keyboardOnly });

    test('somebody is given a key that can only call one endpoint, for an amount a month', { tag: '@task' }, async ({ page, person, stack }) => {
      // The sample's marketing has nothing left this month, and its budget would refuse what the key's own allows.
      await stack.call('BudgetService/UpdateBudget', { budget: 'marketing-month', amount: { currencyCode: 'USD', units: '100000' } });
      await page.goto('/');
      await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible();
      await settled(page);
      const began = Date.now();
      await person.press('g k');
      await expect(page.getByRole('heading', { level: 1, name: 'Keys' })).toBeVisible();
      await expect(page.getByRole('row', { name: /ci-bot/ })).toBeVisible();
      await person.press('n');
      await person.fill(page.getByRole('textbox', { name: 'Name' }), name);
      await person.choose(page.getByRole('combobox', { name: 'Team' }), 'marketing');
      await expect(page.getByText(/Team marketing also caps this at \$[\d,.]+\/month\./)).toBeVisible();
      await person.choose(page.getByRole('combobox', { name: 'Can call' }), 'bria');
      await person.fill(page.getByRole('textbox', { name: 'Budget in US dollars' }), '50');
      await person.click(page.getByRole('button', { name: 'Create', exact: true }));
      await expect(page.getByText('This is the only time the key is shown. We keep a fingerprint, not the key.')).toBeVisible();
      await expect(page.getByRole('button', { name: 'Copy key' })).toBeFocused();
      await person.click(page.getByRole('button', { name: 'Copy key' }));
      await expect(page.getByRole('button', { name: 'Copied' })).toBeVisible();
      person.tookAtMost(10);
      test.info().annotations.push({ type: 'robot', description: `${Date.now() - began} ms` });

      const key = stack.secret(await page.evaluate(() => navigator.clipboard.readText()));
      expect(key).toMatch(/^tgk_[\w-]{40,}$/);
      // It is in the clipboard and, until somebody asks to see it, nowhere on the page.
      expect(stack.leaks(await page.content())).toEqual([]);
      if (!keyboardOnly) {
        await axe(page);
        const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download .env' }).click()]);
        expect(await readFile(await file.path(), 'utf8')).toMatch(new RegExp(`^TOLLGATE_URL=http.+\\nTOLLGATE_KEY=${key}\\n$`));
        await page.getByRole('button', { name: 'Show', exact: true }).click();
        await expect(page.getByLabel('The key', { exact: true })).toHaveText(key);
        await expect(page.getByLabel('First request')).toContainText(key);
      }
      await page.keyboard.press('Escape');
      await expect(page.getByRole('dialog')).toHaveCount(0);
      await expect(page.getByRole('row', { name: new RegExp(`\\b${name}\\b`) })).toContainText('bria');
      await page.reload();
      await expect(page.getByRole('row', { name: new RegExp(`\\b${name}\\b`) })).toContainText('of $50');
      expect(stack.leaks((await page.content()) + page.url() + (await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }))))).toEqual([]);

      const [gateway] = stack.gateways;
      await expect.poll(async () => (await call(gateway!, '/bria/v1/text-to-image/base/2.3', key)).status).toBe(200);
      const refused = await call(gateway!, '/rerank/v1/rerank', key);
      expect([refused.status, refused.code]).toEqual([403, 'key_not_allowed']);
      expect(refused.hint).not.toBe('');
      const { budgets } = await stack.call<{ budgets: Record<string, unknown>[] }>('BudgetService/ListBudgets', { filter: `key:${name}` });
      expect(budgets).toHaveLength(1);
      expect(budgets[0]).toMatchObject({ amount: { units: '50' }, period: 'PERIOD_MONTH', enforcement: 'ENFORCEMENT_HARD' });
    });

    test('a secret is replaced, and the old one ended when nobody uses it', { tag: '@task' }, async ({ page, person, stack }) => {
      const bot = `bot-${name}`;
      const made = await stack.call<{ secret: string }>('KeyService/CreateKey', { name: bot, endpoints: ['rerank'] });
      const old = stack.secret(made.secret);
      await expect.poll(() => everywhere(stack, '/rerank/v1/rerank', old)).toEqual([200, 200, 200, 200]);

      await page.goto('/keys');
      person.steps = 0;
      // A row is opened by its link, and with the keyboard as a whole.
      await person.click(keyboardOnly ? page.getByRole('row', { name: new RegExp(bot) }) : page.getByRole('link', { name: bot }));
      await person.click(page.getByRole('button', { name: 'Rotate' }));
      await expect(page.getByText(/x-tollgate-key-sunset/)).toBeVisible();
      await person.click(page.getByRole('button', { name: 'Make new secret' }));
      await person.click(page.getByRole('button', { name: 'Copy key' }));
      const fresh = stack.secret(await page.evaluate(() => navigator.clipboard.readText()));
      expect(fresh).not.toBe(old);

      // The callers move: what they send with the new secret is counted to it, and nothing to the old one.
      await expect.poll(() => everywhere(stack, '/rerank/v1/rerank', fresh)).toEqual([200, 200, 200, 200]);
      const dialog = page.getByRole('dialog');
      await expect(dialog.locator('[data-secret="new"]')).toContainText(/\b\d+ requests?\b/);
      await expect(dialog.locator('[data-secret="old"]')).toContainText('not used yet');
      await person.click(dialog.getByRole('button', { name: 'End overlap now' }));
      person.tookAtMost(5);
      await expect.poll(() => everywhere(stack, '/rerank/v1/rerank', old)).toEqual([401, 401, 401, 401]);
      expect((await call(stack.gateways[0]!, '/rerank/v1/rerank', old)).code).toBe('key_revoked');
      expect(await everywhere(stack, '/rerank/v1/rerank', fresh)).toEqual([200, 200, 200, 200]);
      expect(stack.leaks(await page.content())).toEqual([]);
    });
  });
}

test('who closes without having copied is asked, and can copy then', async ({ page, stack }) => {
  await page.goto('/keys?sel=new');
  await page.getByRole('textbox', { name: 'Name' }).fill('forgotten');
  await page.getByRole('button', { name: 'Create', exact: true }).click();
  await page.getByRole('button', { name: 'Done' }).click();
  await expect(page.getByText("You won't be able to see it again.")).toBeVisible();
  await axe(page);
  await page.getByRole('button', { name: 'Copy and close' }).click();
  await expect(page.getByRole('dialog')).toHaveCount(0);
  const key = stack.secret(await page.evaluate(() => navigator.clipboard.readText()));
  expect(key).toMatch(/^tgk_/);
  await expect.poll(async () => (await call(stack.gateways[0]!, '/rerank/v1/rerank', key)).status).toBe(200);
});

test('who ends an old secret that is still in use is told so', async ({ page, stack }) => {
  const made = await stack.call<{ secret: string; key: { id: string } }>('KeyService/CreateKey', { name: 'busy', endpoints: ['rerank'] });
  const old = stack.secret(made.secret);
  stack.secret((await stack.call<{ secret: string }>('KeyService/RotateKey', { key: 'busy' })).secret);
  const [gateway] = stack.gateways;
  await expect.poll(async () => (await call(gateway!, '/rerank/v1/rerank', old)).headers.get('x-tollgate-key-sunset')).not.toBeNull();
  await page.goto('/keys/busy');
  await expect(page.locator('[data-secret="old"]')).toContainText(/last from \S+ \(.+\) on \S+/);
  await axe(page);
  await shot(page, 'key');
  await page.getByRole('button', { name: 'End overlap now' }).click();
  await expect(page.getByText(/Old secret was used .*\. Those callers will get 401 key_revoked\./)).toBeVisible();
  await page.getByRole('button', { name: 'Cancel' }).click();
  expect((await call(gateway!, '/rerank/v1/rerank', old)).status).toBe(200);

  await page.getByRole('button', { name: 'Extend 24 h' }).click();
  await expect(page.getByText(/The old secret works until/)).toBeVisible();
  await page.getByRole('button', { name: 'End overlap now' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'End overlap now' }).click();
  await expect.poll(() => everywhere(stack, '/rerank/v1/rerank', old)).toEqual([401, 401, 401, 401]);
});

test('what is wrong is told at its field, and what two people change is put side by side', async ({ page, stack }) => {
  await page.goto('/keys?sel=new');
  await page.getByRole('button', { name: 'Create', exact: true }).click();
  await expect(page.getByText('A key needs a name.')).toBeVisible();
  await expect(page.getByRole('textbox', { name: 'Name' })).toBeFocused();
  await page.getByRole('textbox', { name: 'Name' }).fill('ci-bot');
  await page.getByRole('button', { name: 'Create', exact: true }).click();
  await expect(page.getByRole('textbox', { name: 'Name' })).toHaveAccessibleDescription(/ci-bot/);
  await page.getByRole('button', { name: 'Cancel' }).click();

  await page.goto('/keys/web?sel=edit');
  await page.getByLabel('Description').fill('Mine');
  await stack.call('KeyService/UpdateKey', { key: 'web', description: 'Theirs', updateMask: 'description' });
  await page.getByRole('button', { name: 'Save' }).click();
  const review = page.getByRole('dialog').filter({ hasText: 'Theirs' });
  await expect(review).toContainText('Mine');
  await axe(page);
});

test('teams and secrets have pages that anybody can use', async ({ page, stack }) => {
  for (const [path, heading, name] of [['/keys', 'Keys', 'keys'], ['/teams', 'Teams', 'teams'], ['/teams/search', 'search', 'team'], ['/teams?tab=customers', 'Customers', ''], ['/teams?tab=tags', 'Tags', ''], ['/secrets', 'Secrets', 'secrets'], ['/secrets/bria-api-token', 'bria-api-token', 'secret']] as const) {
    await page.goto(path);
    await expect(page.getByRole('heading', { level: 1, name: heading })).toBeVisible();
    await axe(page);
    if (name) await shot(page, name);
  }
  await page.getByRole('button', { name: 'Delete' }).click();
  await expect(page.getByText('It cannot be deleted while', { exact: false })).toBeVisible();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Rotate' }).click();
  const value = stack.secret('a value that nobody reads again 0123456789');
  await page.getByRole('textbox', { name: 'New value', exact: true }).fill(value);
  await page.getByRole('dialog').getByRole('button', { name: 'Rotate' }).click();
  await expect(page.getByText('Roll back until')).toBeVisible();
  expect(stack.leaks(await page.content())).toEqual([]);
  await page.getByRole('button', { name: 'Roll back' }).click();
  await page.getByRole('button', { name: 'Bring the old value back' }).click();
  await expect(page.getByText('has its old value again', { exact: false })).toBeVisible();

  await page.goto('/teams/search');
  await page.getByRole('button', { name: 'More', exact: true }).click();
  await page.getByRole('menuitem', { name: 'Delete…' }).click();
  await expect(page.getByText('Keys have to go somewhere before a team goes.')).toBeVisible();
});
