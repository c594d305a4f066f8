import { expect, test } from './harness/index.ts';

test.use({ deployment: { name: 'first-run', edges: 1, args: ['--demo'] }, signedIn: false });
test.describe.configure({ mode: 'serial' });

test('from the link that the server prints to an answer through the gateway', { tag: '@task' }, async ({ page, person, stack }) => {
  await page.goto(stack.setupLink);
  await person.fill(page.getByLabel('Your name'), stack.owner.name);
  await person.fill(page.getByLabel('E-mail address'), stack.owner.email);
  await person.fill(page.getByRole('textbox', { name: 'Password' }), stack.owner.password);
  await person.click(page.getByRole('button', { name: 'Create admin and continue' }));

  const steps = page.getByRole('list').filter({ has: page.getByRole('link', { name: 'Send a request' }) });
  await expect(steps.getByRole('listitem').filter({ hasText: 'Create an endpoint' })).toContainText('Done');
  await expect(steps.getByRole('listitem').filter({ hasText: 'Send a request' })).toContainText('To do');
  person.steps = 0;
  await person.click(steps.getByRole('link', { name: 'Send a request' }));
  await person.fill(page.getByRole('textbox', { name: 'Path after /bria' }), 'v1/text-to-image/base/2.3');
  await person.fill(page.getByRole('textbox', { name: 'Body' }), '{"prompt": "a book", "num_results": 2, "sync": true}');
  await person.click(page.getByRole('button', { name: /^Send/ }));
  await expect(page.getByText(/200/).first()).toBeVisible();
  await expect(page.getByText('$12.00').first()).toBeVisible();
  person.tookAtMost(4);

  const id = await page.getByText(/^req_[0-9a-z]{20,}$/).first().innerText();
  await page.goto('/requests?live=1');
  await page.goto(`/requests/${id}`);
  await expect(page.getByText(id).first()).toBeVisible();
  await page.goto('/');
  // Nothing is left to be done, so the steps have gone.
  await expect(page.getByRole('heading', { name: 'Needs attention' })).toBeVisible();
  await expect(page.getByText('First steps')).toHaveCount(0);
});

test.describe('as the owner', () => {
  test.use({ signedIn: true });

  test('the steps come back from the sheet of shortcuts where some are left', async ({ page, person, stack }) => {
    for (const { id } of (await stack.call<{ budgets: { id: string }[] }>('BudgetService/ListBudgets')).budgets) await stack.call('BudgetService/DeleteBudget', { budget: id });
    await page.goto('/');
    await person.click(page.getByRole('button', { name: 'Hide these steps' }));
    await expect(page.getByText('Set a budget')).toHaveCount(0);
    await person.press('?');
    await person.click(page.getByRole('dialog').getByRole('button', { name: 'Show the first steps again' }));
    await expect(page.getByText('Set a budget')).toBeVisible();
  });
});
