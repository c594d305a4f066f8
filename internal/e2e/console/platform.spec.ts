import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { axe, expect, test } from './harness/index.ts';

// Edges have this variable and no other that files refer to.
const cohere = 'Qm7xT2vKpL9wZrYu4BnD6hJs';
process.env.E2E_COHERE_API_KEY = cohere;

interface Heard {
  url: string;
  authorization: string;
  body: string;
}

// A vendor for endpoints, and a receiver of alerts.
let vendor: Server;
let vendorUrl: string;
const heard: Heard[] = [];

test.use({ deployment: { name: 'platform' } });
test.describe.configure({ mode: 'serial' });

test.beforeAll(async () => {
  vendor = createServer((req, res) => {
    let body = '';
    req.on('data', (part: Buffer) => (body += part.toString()));
    req.on('end', () => {
      heard.push({ url: req.url!, authorization: req.headers.authorization ?? '', body });
      res.writeHead(req.url === '/refuses' ? 503 : 200, { 'Content-Type': 'application/json' });
      res.end(JSON.stringify({ results: [{ index: 0, relevance_score: 0.9 }] }));
    });
  });
  await new Promise<void>((resolve) => vendor.listen(0, '127.0.0.1', resolve));
  vendorUrl = `http://127.0.0.1:${(vendor.address() as AddressInfo).port}`;
});
test.afterAll(() => new Promise<void>((resolve) => void vendor.close(() => resolve())));

const litellm = () => `general_settings:
  pass_through_endpoints:
    - path: "/v1/rerank"
      target: "${vendorUrl}/v1/rerank"
      headers:
        Authorization: "bearer os.environ/E2E_COHERE_API_KEY"
        content-type: application/json
    - path: "/adapter"
      target: custom_callbacks.my_adapter
    - path: "/bria"
      target: "${vendorUrl}/bria"
      auth: true
      cost_per_request: 12
      headers:
        api_token: os.environ/E2E_BRIA_API_TOKEN
`;

test('a LiteLLM configuration is read as a plan, and then applied as it was read', { tag: '@task' }, async ({ page, person, stack }) => {
  const file = join(stack.dir, 'config.yaml');
  writeFileSync(file, litellm());
  await page.goto('/');
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible();
  person.steps = 0;
  await person.press('ControlOrMeta+k');
  await person.fill(page.getByRole('textbox', { name: 'Search or run a command' }), 'import');
  await person.press('Enter');
  await expect(page).toHaveURL(/\/settings\/import$/);
  const chooser = page.waitForEvent('filechooser');
  await person.click(page.getByRole('button', { name: 'Choose files' }));
  await (await chooser).setFiles(file);

  await expect(page.getByRole('list', { name: 'Plan in short' })).toContainText('2 to create');
  await expect(page.getByRole('region', { name: 'Create' })).toContainText('v1-rerank');
  const skipped = page.getByRole('region', { name: 'Left out' });
  await expect(skipped.getByRole('listitem')).toHaveCount(1);
  await expect(skipped).toContainText('custom_callbacks.my_adapter');
  await expect(page.getByRole('region', { name: 'Behaves differently' })).toContainText('let anyone call this path');
  const environment = page.getByRole('region', { name: 'Environment of the edges' });
  await expect(environment.getByRole('listitem').filter({ hasText: 'E2E_COHERE_API_KEY' })).toContainText('known once it is applied');
  await axe(page);

  // The command line says the same, word for word.
  const diff = await stack.cli('diff', '-f', file, '-o', 'json');
  const notes = await page.getByRole('region', { name: /^(Left out|Behaves differently|Good to know)$/ }).getByRole('listitem').locator('span.wrap').allTextContents();
  const flat = (text: string) => text.replaceAll(/\s+/g, ' ');
  const said = flat((JSON.parse(diff.stdout) as { notes: { text: string }[] }).notes.map((n) => n.text).toSorted().join('\n'));
  expect(flat(notes.toSorted().join('\n'))).toBe(said);

  // A plan changes nothing.
  expect((await stack.call<{ endpoints?: object[] }>('EndpointService/ListEndpoints', {})).endpoints ?? []).toEqual([]);
  await person.click(page.getByRole('button', { name: 'Apply 2 changes' }));
  await expect(page.getByRole('heading', { name: /^Applied in revision \d+$/ })).toBeVisible();
  person.tookAtMost(5);
  await expect(page.getByText(/Live on 4\/4 edges/).first()).toBeVisible();
  await expect(environment.getByRole('listitem').filter({ hasText: 'E2E_COHERE_API_KEY' })).toContainText('set on all 4 edges');
  await expect(environment.getByRole('listitem').filter({ hasText: 'E2E_BRIA_API_TOKEN' })).toContainText('missing on');

  const { secret } = await stack.call<{ secret: string }>('KeyService/CreateKey', { name: 'rerank-caller' });
  stack.secret(secret);
  const call = () => fetch(`${stack.gateways[0]}/v1/rerank`, { method: 'POST', headers: { Authorization: `Bearer ${secret}`, 'Content-Type': 'application/json' }, body: '{"query":"a"}' });
  await expect.poll(async () => (await call()).status).toBe(200);
  expect(heard.at(-1)).toEqual({ url: '/v1/rerank', authorization: `bearer ${cohere}`, body: '{"query":"a"}' });
});

test('a file that is wrong is told where, and changes nothing', async ({ page, person }) => {
  await page.goto('/settings/import');
  await person.click(page.getByRole('button', { name: 'Paste' }));
  await person.fill(page.getByRole('textbox', { name: 'Text of the file' }), 'version: 1\nendpoints:\n  - name: one\n    pathh: /x\n');
  await person.press('ControlOrMeta+Enter');
  await expect(page.getByRole('alert')).toContainText('pasted.yaml:4:5');
  await expect(page.getByRole('alert')).toContainText('Did you mean path?');
  await expect(page.getByRole('button', { name: /^Apply/ })).toHaveCount(0);
});

test('keys of a file are shown once, and asked about before they are left', async ({ page, person, stack }) => {
  await page.goto('/settings/import');
  await person.click(page.getByRole('button', { name: 'Paste' }));
  await person.fill(page.getByRole('textbox', { name: 'Text of the file' }), 'version: 1\nkeys:\n  - name: from-file\n');
  await person.click(page.getByRole('button', { name: 'See the plan' }));
  await person.click(page.getByRole('button', { name: 'Apply 1 change' }));
  const panel = page.getByRole('region', { name: 'Secrets of new keys' });
  const secret = stack.secret((await panel.getByRole('status', { name: 'from-file' }).textContent())!);
  expect(secret).toMatch(/^tgk_/);
  await person.click(page.getByRole('button', { name: 'Import another file' }));
  await expect(page.getByRole('dialog')).toContainText('It cannot be shown again.');
  await person.click(page.getByRole('button', { name: 'Go back' }));
  await person.click(panel.getByRole('button', { name: 'Copy from-file' }));
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(secret);
  await person.click(page.getByRole('button', { name: 'Import another file' }));
  await expect(page.getByRole('button', { name: 'Choose files' })).toBeVisible();
  expect(stack.leaks(await page.content())).toEqual([]);
});

test('what somebody changed is found, understood and taken back', { tag: '@task' }, async ({ page, person, stack }) => {
  const { person: sam, link } = await stack.call<{ person: { id: string }; link: string }>('PersonService/CreatePerson', { person: { email: 'sam@example.com', name: 'Sam', role: 'ROLE_EDITOR' } });
  expect(sam.id).toMatch(/^usr_/);
  stack.secret(new URL(link).hash.replace('#token=', ''));
  const { endpoint } = await stack.call<{ endpoint: { id: string; etag: string; targets: { url: string }[] } }>('EndpointService/GetEndpoint', { endpoint: 'bria' });
  const { secret } = await stack.call<{ secret: string }>('TokenService/CreateToken', { token: { name: 'ci', role: 'ROLE_EDITOR' } });
  stack.secret(secret);
  const changed = await fetch(`${stack.url}/tollgate.control.v1.EndpointService/UpdateEndpoint`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${secret}`, 'x-tollgate-override': 'managed' },
    body: JSON.stringify({ endpoint: { ...endpoint, targets: [{ url: `${vendorUrl}/elsewhere` }] }, updateMask: 'targets' }),
  });
  expect(changed.status, await changed.clone().text()).toBe(200);
  const to = ((await changed.json()) as { endpoint: { revision: string } }).endpoint.revision;

  await page.goto('/');
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible();
  person.steps = 0;
  await person.press('g a');
  await person.fill(page.getByRole('searchbox', { name: 'Filter' }), 'bria action:update');
  const row = page.getByRole('row').filter({ hasText: 'elsewhere' });
  await expect(row).toContainText('token ci');
  await person.click(row);
  await expect(page).toHaveURL(/sel=aud_.*q=bria\+action:update|q=bria\+action:update.*sel=aud_/);
  const drawer = page.getByRole('dialog');
  await expect(drawer).toContainText('token ci');
  await expect(drawer.getByRole('row').filter({ hasText: 'targets' })).toContainText(`${vendorUrl}/elsewhere`);
  await axe(page);
  await person.click(drawer.getByRole('button', { name: 'Revert…' }));
  const question = page.getByRole('dialog', { name: /^Revert bria to revision \d+\?$/ });
  const effect = question.getByRole('row').filter({ hasText: 'targets' });
  await expect(effect.locator('del')).toHaveText(`${vendorUrl}/elsewhere`);
  await expect(effect.locator('ins')).toHaveText(`${vendorUrl}/bria`);
  await person.click(question.getByRole('button', { name: /^Revert to revision \d+$/ }));
  await expect(page.getByText(/Live on 4\/4 edges/).first()).toBeVisible();
  person.tookAtMost(6);

  const now = await stack.call<{ endpoint: { targets: { url: string }[]; revision: string } }>('EndpointService/GetEndpoint', { endpoint: 'bria' });
  expect(now.endpoint.targets[0]!.url).toBe(`${vendorUrl}/bria`);
  expect(Number(now.endpoint.revision)).toBeGreaterThan(Number(to));
  const history = await stack.cli('endpoint', 'history', 'bria');
  expect(history.stdout).toContain('revert');
  expect(history.stdout).toContain('token ci');

  // The same address shows somebody else the same entry.
  const address = page.url();
  const other = await page.context().newPage();
  await other.goto(address);
  await expect(other.getByRole('dialog')).toContainText('token ci');
  await other.close();
});

test('a channel of alerts is made, tried, and says what became of it', async ({ page, person, stack }) => {
  await page.goto('/settings/alerts');
  await expect(page.getByText('Nobody is told yet')).toBeVisible();
  await person.press('n');
  await person.fill(page.getByLabel('Name'), 'ops');
  await person.fill(page.getByLabel('URL'), `${vendorUrl}/hook/9f8e7d6c5b4a`);
  await person.press('ControlOrMeta+Enter');
  const panel = page.getByRole('region', { name: 'Signing secret of ops' });
  const secret = stack.secret((await panel.getByRole('status').textContent())!);
  expect(secret.length).toBeGreaterThan(16);
  await person.click(panel.getByRole('button', { name: 'Copy' }));
  await person.click(page.getByRole('button', { name: 'Done' }));
  await expect(page.getByRole('dialog')).toHaveCount(0);
  await person.click(page.getByRole('button', { name: 'Send a test to ops' }));
  await expect(page.getByText(/^Arrived at ops: it answered 200 in /)).toBeVisible();
  expect(heard.at(-1)!.url).toBe('/hook/9f8e7d6c5b4a');
  await expect(page.getByRole('region', { name: 'Last deliveries' })).toContainText('arrived');
  expect(await page.content()).not.toContain('9f8e7d6c5b4a');
  expect(stack.leaks(await page.content())).toEqual([]);
  await axe(page);

  await person.click(page.getByRole('button', { name: 'More actions for ops' }));
  await person.click(page.getByRole('menuitem', { name: 'Edit' }));
  await person.fill(page.getByLabel('URL'), `${vendorUrl}/refuses`);
  await person.click(page.getByRole('button', { name: 'Save' }));
  await expect(page.getByRole('dialog')).toHaveCount(0);
  await person.click(page.getByRole('button', { name: 'Send a test to ops' }));
  await expect(page.getByText('Did not arrive at ops.')).toBeVisible();
  await expect(page.getByText(/503/).first()).toBeVisible();
});

test('a token is shown once, works, and ends when it is revoked', async ({ page, person, stack }) => {
  await page.goto('/settings/tokens?new=1');
  await person.click(page.getByRole('button', { name: 'Create token' }).last());
  await expect(page.getByText('A token needs a name.')).toBeVisible();
  await expect(page.getByLabel('Name')).toBeFocused();
  await person.fill(page.getByLabel('Name'), 'deploy');
  await person.press('ControlOrMeta+Enter');
  const panel = page.getByRole('region', { name: 'Token deploy' });
  const secret = stack.secret((await panel.getByRole('status').textContent())!);
  await person.click(panel.getByRole('button', { name: 'Copy', exact: true }));
  await person.click(page.getByRole('button', { name: 'Done' }));
  await expect(page.getByRole('dialog')).toHaveCount(0);
  const asDeploy = () => fetch(`${stack.url}/tollgate.control.v1.SystemService/GetInfo`, { method: 'POST', headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${secret}` }, body: '{}' });
  expect((await asDeploy()).status).toBe(200);
  expect(stack.leaks(await page.content())).toEqual([]);
  await person.click(page.getByRole('button', { name: 'Revoke deploy' }));
  const question = page.getByRole('dialog', { name: 'Revoke token deploy?' });
  const typed = question.getByRole('textbox');
  // The use of a moment ago may be known already; then its name is asked for.
  if (await typed.count()) await person.fill(typed, 'deploy');
  await person.click(question.getByRole('button', { name: 'Revoke' }));
  await expect(page.getByRole('row').filter({ hasText: 'deploy' })).toContainText('revoked');
  expect((await asDeploy()).status).toBe(401);
});

test('settings are saved together, and what others saved meanwhile is not lost', async ({ page, person, stack }) => {
  await page.goto('/settings/general');
  await person.fill(page.getByLabel('Environment'), 'staging');
  await stack.call('SettingsService/UpdateSettings', { settings: { name: 'ACME gateway' }, updateMask: 'name' });
  await person.click(page.getByRole('button', { name: 'Save changes' }));
  await expect(page.getByText('Settings saved')).toBeVisible();
  await expect(page.getByText('Unsaved changes')).toHaveCount(0);
  const { settings } = await stack.call<{ settings: { name: string; environment: string } }>('SettingsService/GetSettings', {});
  expect([settings.name, settings.environment]).toEqual(['ACME gateway', 'staging']);
  await expect(page.getByRole('banner').getByText('staging')).toBeVisible();
});

test('for how long things are kept is what the ledger says', async ({ page, stack }) => {
  const kept = await stack.call<Record<string, string | boolean>>('SystemService/GetRetention');
  expect(kept).toMatchObject({ keepRecords: true, requests: '7776000s', days: '0s' });
  await page.goto('/settings/retention');
  const row = (setting: string) => page.getByRole('row', { name: new RegExp(`retention\\.${setting}$`) });
  for (const setting of ['requests', 'hours', 'days', 'leases', 'anomalies', 'incarnations']) {
    const days = parseInt(String(kept[setting]), 10) / 86_400;
    await expect(row(setting)).toContainText(days ? `${days} days` : 'kept for good');
  }
  await axe(page);
});

test.describe('without a session', () => {
  test.use({ signedIn: false });

  test('who guesses passwords has to wait, and sees how long', async ({ page, person, stack }) => {
    await page.goto('/login');
    const password = page.getByRole('textbox', { name: 'Password' });
    await person.fill(page.getByLabel('E-mail address'), 'sam@example.com');
    const button = page.getByRole('button', { name: /^(Sign in|Try again in)/ });
    for (let i = 0; i < 8 && !/Try again/.test((await button.textContent())!); i++) {
      const answer = page.waitForResponse(/SignIn$/);
      await person.fill(password, `guess number ${i}`);
      await person.press('Enter');
      await answer;
      await expect(page.getByRole('alert')).toBeVisible();
    }
    await expect(button).toHaveText(/^Try again in \d+ seconds?\.$/);
    await expect(button).toBeDisabled();
    await axe(page);
    expect(stack.leaks(await page.content())).toEqual([]);
  });
});
