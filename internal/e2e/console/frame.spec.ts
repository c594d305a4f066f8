import { expect, test } from './harness/index.ts';

test.use({ deployment: { name: 'frame', edges: 2, args: ['--sample-data', '--sample-traffic', '2'] } });
test.describe.configure({ mode: 'serial' });

test('the palette finds things, explains paths and runs commands without a mouse', async ({ page, stack }) => {
  await page.goto('/');
  const field = page.getByRole('textbox', { name: 'Search or run a command' });
  const open = async (text: string) => {
    await page.keyboard.press('ControlOrMeta+k');
    await expect(field).toBeFocused();
    await page.keyboard.insertText(text);
  };
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible();
  await open('ci-bot');
  await expect(page.getByRole('button', { name: /^ci-bot/ }).first()).toBeVisible();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { level: 1, name: 'ci-bot' })).toBeVisible();

  const { requests } = await stack.call<{ requests: { requestId: string }[] }>('UsageService/ListRequests', { pageSize: 1 });
  await open(requests[0]!.requestId);
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(new RegExp(`/requests/${requests[0]!.requestId}`));

  await open('/bria/v1/x');
  await expect(page.getByRole('button', { name: 'Explain where /bria/v1/x goes' })).toBeVisible();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('main').getByText(/bria.*→|→.*bria/).first()).toBeVisible();

  await open('switch to dark');
  await page.keyboard.press('Enter');
  await expect(page.locator('html')).toHaveAttribute('data-mantine-color-scheme', 'dark');
  // What was opened last is offered first, by its name alone.
  await page.keyboard.press('ControlOrMeta+k');
  await expect(field).toHaveValue('');
  await expect(page.getByRole('dialog').getByRole('button').first()).toHaveText(/^ci-bot/);
});

test('keys lead everywhere, rest while somebody types, and can be switched off', async ({ page, person }) => {
  await page.goto('/');
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible();
  for (const [key, heading] of [['e', 'Endpoints'], ['r', 'Requests'], ['k', 'Keys'], ['t', 'Teams'], ['s', 'Secrets'], ['b', 'Budgets'], ['u', 'Usage'], ['n', 'Edges'], ['a', 'Audit log'], ['o', 'Overview']] as const) {
    await person.press(`g ${key}`);
    await expect(page.getByRole('heading', { level: 1, name: heading })).toBeVisible();
  }
  await person.press('?');
  await expect(page.getByRole('dialog', { name: 'Keyboard shortcuts' })).toBeVisible();
  await page.keyboard.press('Escape');
  await person.press('g k');
  await page.keyboard.press('/');
  await page.keyboard.type('g e');
  await expect(page.getByRole('heading', { level: 1, name: 'Keys' })).toBeVisible();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Account' }).click();
  await page.getByRole('menuitemcheckbox', { name: 'Single-key shortcuts' }).click();
  await page.keyboard.press('Escape');
  await person.press('g u');
  await expect(page.getByRole('heading', { level: 1, name: 'Keys' })).toBeVisible();
});

test('eight tabs work, and what one changes all show', async ({ context, stack }) => {
  const pages = [];
  for (let i = 0; i < 8; i++) {
    const page = await context.newPage();
    await page.goto('/teams/ops');
    await expect(page.getByRole('heading', { level: 1, name: 'ops' })).toBeVisible();
    pages.push(page);
  }
  await stack.call('TeamService/UpdateTeam', { team: 'ops', description: 'Seen in every tab', updateMask: 'description' });
  for (const page of pages) await expect(page.getByText('Seen in every tab').first()).toBeVisible();
  // The tab that listens for all others goes, and another takes its place.
  await pages.shift()!.close();
  await stack.call('TeamService/UpdateTeam', { team: 'ops', description: 'Seen again', updateMask: 'description' });
  for (const page of pages) await expect(page.getByText('Seen again').first()).toBeVisible();
});

test('a form outlives the control plane', { tag: '@task' }, async ({ page, person, stack, watch }) => {
  watch.allow(/Failed to load resource/, /ERR_CONNECTION_REFUSED/, /net::ERR/);
  await page.goto('/endpoints/new');
  const path = page.getByLabel('Path', { exact: false }).first();
  await person.fill(path, '/held');
  await stack.stop('SIGKILL');
  await expect(page.getByRole('alert').filter({ hasText: "Can't reach the control plane. Traffic still flows" })).toBeVisible({ timeout: 40_000 });
  await expect(path).toHaveValue(/held/);
  await stack.start();
  await expect(page.getByRole('alert').filter({ hasText: "Can't reach the control plane" })).toHaveCount(0, { timeout: 40_000 });
  await person.fill(page.getByLabel('Target', { exact: false }).first(), 'http://127.0.0.1:9');
  await person.fill(page.getByLabel('Price per request'), '1');
  await person.press('ControlOrMeta+Enter');
  await expect(page).toHaveURL(/\/endpoints\/held\/try/);
});
