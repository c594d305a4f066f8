import { axe, expect, settled, test } from './harness/index.ts';

test.use({ deployment: { name: 'budgets', args: ['--sample-data', '--sample-traffic', '0'] } });
test.describe.configure({ mode: 'serial' });

const month = '(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)';
/** A row says when: on a day, or between two. */
const dated = new RegExp(`runs? out .*(\\d+ ${month}|today)`);

for (const keyboardOnly of [false, true]) {
  test.describe(keyboardOnly ? 'by keyboard' : 'by mouse', { tag: keyboardOnly ? ['@long'] : [] }, () => {
    test.use({ keyboardOnly, viewport: { width: 1440, height: 900 } });

    test('which team runs out first, and when; $200 more for it until the reset', { tag: '@task' }, async ({ page, person, stack }) => {
      // Raised by whoever asked before is raised no more.
      const limit = async () => (await stack.call<{ state: { limit: { units: string } } }>('BudgetService/GetBudgetState', { budget: 'search-month' })).state.limit.units;
      const { budget } = await stack.call<{ budget: { amount: { units: string } } }>('BudgetService/RaiseBudget', { budget: 'search-month', by: { currencyCode: 'USD' } });
      await expect.poll(limit).toBe(budget.amount.units);

      await page.goto('/');
      await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible();
      await person.press('g b');
      const rows = page.getByRole('table', { name: /who runs out first/ }).getByRole('row').filter({ has: page.getByRole('cell') });
      await expect(rows.first()).toBeVisible();
      await settled(page);

      // What is used up comes first, then what has a date; the first of these is the answer, and its name says it aloud.
      const names = await rows.evaluateAll((all) => all.map((el) => el.getAttribute('aria-label')!));
      const rank = (name: string) => (/used up/.test(name) ? 0 : dated.test(name) ? 1 : 2);
      expect(names.map(rank)).toEqual(names.map(rank).toSorted((a, b) => a - b));
      const first = names.find((name) => rank(name) === 1)!;
      expect(first).toMatch(/^team search, search-month, /);

      const row = page.getByRole('row', { name: /^team search, / });
      await person.click(row.getByRole('button', { name: 'Raise search-month' }));
      await expect(page.getByRole('checkbox', { name: /^only until 1 / })).toBeChecked();
      await person.fill(page.getByRole('textbox', { name: 'Add' }), '200');
      const asked = Date.now();
      await person.press('Enter');
      await expect(row).not.toHaveAttribute('aria-label', first);
      await expect(row).toContainText(/\+\$\d+ only until 1 /);
      test.info().annotations.push({ type: 'measured', description: `the row says otherwise after ${Date.now() - asked} ms` });
      person.tookAtMost(5);

      expect(Number(await limit()) - Number(budget.amount.units)).toBe(200);
      const { stdout } = await stack.cli('budget', 'get', 'search-month', '-o', 'json');
      expect(stdout).toContain('"until"');
      await axe(page);
    });
  });
}

test('a budget is made with what it promises, and what it would do is said before', async ({ page, stack }) => {
  await page.goto('/budgets');
  await expect(page.getByRole('row').nth(1)).toBeVisible();
  await page.keyboard.press('n');
  const drawer = page.getByRole('dialog', { name: 'New budget' });
  await expect(drawer.getByText('spend never passes the limit')).toBeVisible();
  await drawer.getByRole('button', { name: 'Create budget' }).click();
  await expect(drawer.getByText('Say which.')).toBeVisible();
  await expect(drawer.getByText('Say how much.')).toBeVisible();

  await drawer.getByLabel('Team', { exact: true }).fill('ops');
  await drawer.getByRole('textbox', { name: 'Limit' }).fill('0');
  await expect(drawer.getByText('refuses every priced request')).toBeVisible();
  await drawer.getByRole('combobox', { name: 'Every' }).click();
  await page.getByRole('option', { name: 'Day', exact: true }).click();
  await axe(page);

  // What was typed is there again, in the drawer that its address opens.
  expect(new URL(page.url()).search).toBe('?sel=new');
  await page.reload();
  await expect(drawer.getByRole('textbox', { name: 'Limit' })).toHaveValue('0.00');
  await drawer.getByRole('textbox', { name: 'Limit' }).fill('25');
  await drawer.getByRole('button', { name: 'Create budget' }).click();
  await expect(page.getByRole('row', { name: /^team ops, ops-day, .* of \$25\.00, .*hard · resets/ })).toBeVisible();
  const { budget } = await stack.call<{ budget: { amount: { units: string }; period: string; enforcement: string; timeZone: string } }>('BudgetService/GetBudget', { budget: 'ops-day' });
  expect(budget).toMatchObject({ amount: { units: '25' }, period: 'PERIOD_DAY', enforcement: 'ENFORCEMENT_HARD' });
});

test('a budget is lowered below what is spent only by who agrees, begun anew, and deleted', async ({ page, stack }) => {
  await page.goto('/budgets?q=search-month');
  await page.getByRole('link', { name: /search/ }).first().click();
  await expect(page.getByRole('heading', { level: 1, name: /search/ })).toBeVisible();
  await settled(page);
  await expect(page.getByRole('img', { name: /is left\./ })).toBeVisible();
  await axe(page);

  await page.getByRole('button', { name: 'Edit' }).click();
  await page.getByRole('textbox', { name: 'Limit' }).fill('1');
  await expect(page.getByText(/^Already spent .* refuses requests at once\.$/)).toBeVisible();
  await page.getByRole('button', { name: 'Save changes' }).click();
  await expect(page.getByRole('checkbox', { name: 'Save it anyway' })).toBeVisible();
  expect((await stack.call<{ budget: { amount: { units: string } } }>('BudgetService/GetBudget', { budget: 'search-month' })).budget.amount.units).not.toBe('1');
  await axe(page);
  await page.keyboard.press('Escape');

  await page.getByRole('button', { name: 'More' }).click();
  await page.getByRole('menuitem', { name: 'Reset now' }).click();
  await expect(page.getByRole('dialog')).toContainText('no longer count');
  await page.getByRole('dialog').getByRole('button', { name: 'Reset now' }).click();
  await expect.poll(async () => (await stack.call<{ state: { spent: { units?: string } } }>('BudgetService/GetBudgetState', { budget: 'search-month' })).state.spent.units ?? '0').toBe('0');

  await page.goto('/budgets?q=ops-day');
  await page.getByRole('link', { name: /ops/ }).first().click();
  await page.getByRole('button', { name: 'More' }).click();
  await page.getByRole('menuitem', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete budget' }).click();
  await expect(page).toHaveURL(/\/budgets$/);
  await expect(page.getByRole('row', { name: /ops-day/ })).toHaveCount(0);
});

test('a rate limit is made, changed and deleted', async ({ page, stack }) => {
  await page.goto('/budgets?tab=limits');
  await page.getByRole('button', { name: 'New limit' }).click();
  await page.getByRole('combobox', { name: 'Key', exact: true }).fill('ci-bot');
  await page.getByRole('textbox', { name: 'How many' }).fill('600');
  await axe(page);
  await page.getByRole('button', { name: 'Create limit' }).click();
  const row = page.getByRole('row', { name: /ci-bot-requests/ });
  await expect(row).toContainText('600 requests a minute');
  await row.getByRole('button', { name: 'Actions for ci-bot-requests' }).click();
  await page.getByRole('menuitem', { name: 'Edit' }).click();
  await page.getByRole('textbox', { name: 'Requests a minute' }).fill('900');
  await page.getByRole('button', { name: 'Save changes' }).click();
  await expect(row).toContainText('900 requests a minute');
  const { limit } = await stack.call<{ limit: { amount: string; key: string } }>('LimitService/GetLimit', { limit: 'ci-bot-requests' });
  expect(limit).toMatchObject({ amount: '900', key: 'ci-bot' });
  await row.getByRole('button', { name: 'Actions for ci-bot-requests' }).click();
  await page.getByRole('menuitem', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete limit' }).click();
  await expect(page.getByRole('heading', { name: 'No rate limits yet' })).toBeVisible();
});
