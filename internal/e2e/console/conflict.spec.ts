import type { Browser, Page } from '@playwright/test';
import { axe, expect, shot, type Stack, test } from './harness/index.ts';

test.use({ deployment: { name: 'conflict', edges: 1, args: ['--demo'] } });
test.describe.configure({ mode: 'serial' });

/** Somebody else who may change endpoints, in a browser of their own. */
async function colleague(browser: Browser, stack: Stack): Promise<Page> {
  const { link } = await stack.call<{ link: string }>('PersonService/CreatePerson', { person: { email: 'sam@example.com', name: 'Sam Okafor', role: 'ROLE_EDITOR' } });
  const context = await browser.newContext({ baseURL: stack.url });
  const token = stack.secret(new URL(link).hash.replace('#token=', ''));
  const signedIn = await context.request.post('/tollgate.control.v1.AccountService/RedeemLink', { data: { token, name: 'Sam Okafor', email: 'sam@example.com', password: 'another horse 4711' } });
  expect(signedIn.ok(), await signedIn.text()).toBe(true);
  return context.newPage();
}

const target = (page: Page) => page.getByRole('textbox', { name: 'Target' }).first();
const stored = async (stack: Stack) => (await stack.call<{ endpoint: { targets: { url: string }[]; methods?: string[] } }>('EndpointService/GetEndpoint', { endpoint: 'bria' })).endpoint;

test('two people change the same field, and whoever is later decides between them', async ({ page, browser, person, stack, watch }) => {
  const other = await colleague(browser, stack);
  await watch.over(other.context(), stack.url);
  const opened = async (at: Page) => {
    await at.goto('/endpoints/bria/configure');
    await expect(target(at)).toHaveValue(/^http/);
  };
  const theySave = async (url: string) => {
    await target(other).fill(url);
    await other.getByRole('button', { name: 'Save changes' }).click();
    await expect.poll(async () => (await stored(stack)).targets[0]!.url).toBe(url);
  };
  const review = page.getByRole('dialog', { name: 'Somebody else changed it meanwhile' });
  const merged = review.getByRole('button', { name: 'Save merged' });

  // Theirs is taken.
  await opened(page);
  await opened(other);
  await target(page).fill('http://127.0.0.1:9001/mine');
  await theySave('http://127.0.0.1:9002/theirs');
  await person.click(page.getByRole('button', { name: 'Save changes' }));
  await expect(review.getByText(/sam@example.com.* changed Target/)).toBeVisible();
  const row = review.getByRole('row', { name: /^Target/ });
  await expect(row).toContainText('http://127.0.0.1:9002/theirs');
  await expect(row).toContainText('http://127.0.0.1:9001/mine');
  await expect(merged).toBeDisabled();
  await expect(review.getByText('1 field to decide')).toBeVisible();
  await axe(page);
  await shot(page, 'conflict');
  await person.click(row.getByText('Take theirs'));
  await person.click(merged);
  await expect(review).toHaveCount(0);
  await expect(target(page)).toHaveValue('http://127.0.0.1:9002/theirs');
  expect((await stored(stack)).targets.map((t) => t.url)).toEqual(['http://127.0.0.1:9002/theirs']);

  // Mine is kept.
  await opened(page);
  await target(page).fill('http://127.0.0.1:9003/mine-again');
  await theySave('http://127.0.0.1:9004/theirs-again');
  await person.click(page.getByRole('button', { name: 'Save changes' }));
  await person.click(row.getByText('Keep mine'));
  await person.click(merged);
  await expect(review).toHaveCount(0);
  await expect.poll(async () => (await stored(stack)).targets.map((t) => t.url)).toEqual(['http://127.0.0.1:9003/mine-again']);
  await other.context().close();
});
