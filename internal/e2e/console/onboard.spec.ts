import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Page } from '@playwright/test';
import { axe, expect, type Person, scheme, settled, shot, type Stack, test } from './harness/index.ts';

// A vendor that answers as Bria does, to who has its token.
const token = 'Zk3vQ9pLm2xW8rTy5uBn4dHs';
let vendor: Server;
let vendorUrl: string;

test.use({ deployment: { name: 'onboard' } });
test.describe.configure({ mode: 'serial' });

test.beforeAll(async () => {
  vendor = createServer((req, res) => {
    res.writeHead(req.headers.api_token === token ? 200 : 401, { 'Content-Type': 'application/json' });
    res.end(JSON.stringify({ result: [{ urls: ['https://images.example/1.png'], seed: 1 }] }));
  });
  await new Promise<void>((resolve) => vendor.listen(0, '127.0.0.1', resolve));
  vendorUrl = `http://127.0.0.1:${(vendor.address() as AddressInfo).port}`;
});
test.afterAll(() => new Promise<void>((resolve) => void vendor.close(() => resolve())));

/** From the overview to three answers, as somebody does who knows what they want. */
async function onboard(page: Page, person: Person, stack: Stack, name: string, pasted: string) {
  stack.secret(pasted);
  const answers: string[] = [];
  const asked: string[] = [];
  page.on('request', (r) => void (r.postData()?.includes(pasted) && asked.push(new URL(r.url()).pathname.replace(/^.*\//, ''))));
  page.on('response', (r) => void r.text().then((text) => answers.push(text), () => undefined));
  await page.goto('/');
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible();
  person.steps = 0;
  await person.press('n');
  await expect(page.getByRole('heading', { level: 1, name: 'New endpoint' })).toBeVisible();
  await person.fill(page.getByLabel('Path', { exact: false }).first(), name);
  await person.paste(vendorUrl, page.getByRole('textbox', { name: 'Target' }));
  await person.fill(page.getByRole('textbox', { name: 'Header name' }), 'api_token');
  await person.paste(pasted, page.getByRole('textbox', { name: 'Value of api_token' }));
  await expect(page.getByText('This looks like a credential.')).toBeVisible();
  await person.press('Enter');
  await expect(page.getByRole('button', { name: new RegExp(`${name}-api-token`) })).toBeVisible();
  await person.fill(page.getByLabel('Price per request'), '12');
  const rows = page.getByTestId('preview-routes').locator('tbody tr');
  await expect(rows.first()).toContainText(`/${name}`);
  await expect(rows.last()).toContainText(`${vendorUrl}/<any-sub-path>`);
  await person.press('ControlOrMeta+Enter');
  await expect(page).toHaveURL(new RegExp(`/endpoints/${name}/try\\?new=1`));
  await expect(page.getByText(/Live on 4\/4 edges/).first()).toBeVisible();
  expect(asked, 'calls that carried the credential').toEqual(['CreateSecret']);
  expect(stack.leaks(answers.join('\n'))).toEqual([]);
  expect(stack.leaks(await page.content())).toEqual([]);
  expect(stack.leaks(await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage })))).toEqual([]);
}

test('an endpoint is made, called and paid for on one screen', { tag: '@task' }, async ({ page, person, stack }) => {
  await onboard(page, person, stack, 'bria', token);
  await person.paste('{"prompt": "a book", "num_results": 2, "sync": true}', page.getByRole('textbox', { name: 'Body' }));
  const sent = page.getByRole('button', { name: /^Send/ });
  for (const spent of ['$12.00', '$24.00', '$36.00']) {
    await person.click(sent);
    await expect(page.getByText('Cost $12.00')).toBeVisible();
    await expect(page.getByText(/Spent by bria today/).locator('..')).toContainText(spent);
  }
  person.tookAtMost(12);
  await shot(page, 'try');
  expect(stack.leaks(await page.content())).toEqual([]);
  const usage = await stack.cli('usage', '-o', 'json');
  expect(usage.stdout).toMatch(/"36(\.0+)?"|"units": ?"36"/);
});

test('a path that is taken is told before anything is sent', { tag: '@task' }, async ({ page, person }) => {
  await page.goto('/endpoints/new');
  await person.fill(page.getByLabel('Path', { exact: false }).first(), 'bria');
  await expect(page.getByText(/\/bria already goes to endpoint bria/).first()).toBeVisible();
  await expect(page.getByRole('link', { name: 'Open bria' }).first()).toBeVisible();
  await person.press('ControlOrMeta+Enter');
  await expect(page.getByLabel('Path', { exact: false }).first()).toBeFocused();
  await expect(page).toHaveURL(/\/endpoints\/new$/);
});

test('the preview shows where the vendor’s requests go, and the page can be used by everybody', async ({ page, person }) => {
  await page.goto('/endpoints/new');
  await person.fill(page.getByLabel('Path', { exact: false }).first(), 'images');
  await person.fill(page.getByRole('textbox', { name: 'Target' }), 'https://engine.prod.bria-api.com');
  await expect(page.getByTestId('preview-routes').locator('tbody tr')).toHaveText([
    '/imageshttps://engine.prod.bria-api.com/',
    '/images/v1/text-to-image/base/2.3https://engine.prod.bria-api.com/v1/text-to-image/base/2.3',
    '/images/v2/image/generatehttps://engine.prod.bria-api.com/v2/image/generate',
    '/images/<any-sub-path>https://engine.prod.bria-api.com/<any-sub-path>',
  ]);
  await person.click(page.getByRole('button', { name: /^Advanced/ }));
  await axe(page);
  await shot(page, 'endpoint-new');
});

test.describe('with a keyboard only', () => {
  test.use({ keyboardOnly: true });
  test('an endpoint is made', async ({ page, person, stack }) => onboard(page, person, stack, 'keys-only', 'Qw7eRt5yUi3oPa1sDf9gHj2k'));
});

test('in the dark an endpoint is made', async ({ page, person, stack }) => {
  await page.goto('/');
  await settled(page);
  await scheme(page, 'dark');
  await onboard(page, person, stack, 'dark', 'Lk4jHg6fDs8aQp0wOe2iRu5t');
});
