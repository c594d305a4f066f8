import { axe, expect, shot, test } from './harness/index.ts';

test.use({ deployment: { name: 'start' }, signedIn: false });
test.describe.configure({ mode: 'serial' });

test('the link that the server prints makes the owner, once', { tag: '@task' }, async ({ page, person, stack }) => {
  await page.goto(stack.setupLink);
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
  await axe(page);
  await shot(page, 'setup');
  expect(new URL(page.url()).hash, 'the secret stays in no address').toBe('');
  await person.fill(page.getByLabel('Your name'), stack.owner.name);
  await person.fill(page.getByLabel('E-mail address'), stack.owner.email);
  await person.fill(page.getByRole('textbox', { name: 'Password' }), stack.owner.password);
  await person.click(page.getByRole('button', { name: 'Create admin and continue' }));
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible();
  person.tookAtMost(4);
  expect(stack.leaks(await page.content())).toEqual([]);

  // The session is in a cookie that no script can read, and in nothing else.
  const cookies = await page.context().cookies();
  expect(cookies.map((c) => [c.name, c.httpOnly, c.sameSite])).toEqual([['tollgate_session', true, 'Lax']]);
  expect(stack.leaks(await page.evaluate(() => document.cookie + JSON.stringify({ ...localStorage, ...sessionStorage })))).toEqual([]);

  const again = await page.context().newPage();
  await again.goto(stack.setupLink);
  await expect(again.getByText('This link was used or has expired')).toBeVisible();
});

test('who goes to a page without a session signs in, and comes to that page', async ({ page, person, stack }) => {
  await page.goto('/keys?q=ci');
  await expect(page.getByRole('button', { name: 'Sign in' })).toBeVisible();
  expect(new URL(page.url()).pathname).toBe('/login');
  await axe(page);
  await shot(page, 'login');

  await person.fill(page.getByLabel('E-mail address'), stack.owner.email);
  await person.fill(page.getByRole('textbox', { name: 'Password' }), 'not the password');
  await person.click(page.getByRole('button', { name: 'Sign in' }));
  await expect(page.getByText('The e-mail address or the password is not right.')).toBeVisible();

  await person.fill(page.getByRole('textbox', { name: 'Password' }), stack.owner.password);
  await person.click(page.getByRole('button', { name: 'Sign in' }));
  await expect(page.getByRole('heading', { level: 1, name: 'Keys' })).toBeVisible();
  expect(new URL(page.url()).pathname + new URL(page.url()).search).toContain('/keys?q=ci');

  await person.click(page.getByRole('button', { name: 'Account' }));
  await person.click(page.getByRole('menuitem', { name: 'Sign out' }));
  await expect(page.getByRole('button', { name: 'Sign in' })).toBeVisible();
  await page.goto('/keys');
  await expect(page.getByRole('button', { name: 'Sign in' })).toBeVisible();
});

test('signing in leads nowhere but to this console', async ({ page, person, stack }) => {
  await page.goto('/login?next=' + encodeURIComponent('//elsewhere.example/keys'));
  await person.fill(page.getByLabel('E-mail address'), stack.owner.email);
  await person.fill(page.getByRole('textbox', { name: 'Password' }), stack.owner.password);
  await person.click(page.getByRole('button', { name: 'Sign in' }));
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible();
  expect(new URL(page.url()).origin).toBe(stack.url);
});

test.describe('with a keyboard only', () => {
  test.use({ keyboardOnly: true });

  test('a command line is let in by who compares its code', async ({ page, person, stack }) => {
    const started = await stack.call<{ userCode: string; deviceCode: string }>('AccountService/StartDeviceSignIn', { agent: 'tollgate on a laptop' });
    stack.secret(started.deviceCode);
    await page.goto(`/device?code=${started.userCode}`);
    await person.fill(page.getByLabel('E-mail address'), stack.owner.email);
    await person.fill(page.getByRole('textbox', { name: 'Password' }), stack.owner.password);
    await person.click(page.getByRole('button', { name: 'Sign in' }));
    await expect(page.getByText('tollgate on a laptop asks to act as you.')).toBeVisible();
    await expect(page.getByText(started.userCode)).toBeVisible();
    await person.click(page.getByRole('button', { name: 'Allow' }));
    await expect(page.getByText('tollgate on a laptop is signed in. You can close this page.')).toBeVisible();
    const session = await stack.call<{ secret: string }>('AccountService/PollDeviceSignIn', { deviceCode: started.deviceCode });
    expect(session.secret).toMatch(/^tgu_/);
  });
});

test.describe('as the owner', () => {
  test.use({ signedIn: true });

  test('an unknown page says so, and leads back', async ({ page }) => {
    await page.goto('/no/such/page');
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
    await page.goto('/');
    await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible();
  });

  test('a page that is loaded again keeps its policy and its nonce', async ({ page, watch }) => {
    const nonce = () => page.evaluate(() => document.querySelector<HTMLElement>('meta[property="csp-nonce"]')!.nonce);
    await page.goto('/audit');
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
    const first = await nonce();
    const again = await page.reload();
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
    // The server has said that the page is still the right one, and named no other policy.
    expect(await again!.headerValue('content-security-policy')).toBeNull();
    expect(await nonce()).toBe(first);
    expect(watch.problems).toEqual([]);
  });

  test('what a browser finds wrong fails a test', { tag: '@task' }, async ({ page, stack, watch }) => {
    await page.goto('/');
    await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible();
    for (const [what, wrong] of [
      ['a style without the nonce', () => document.head.append(Object.assign(document.createElement('style'), { textContent: 'body{color:red}' }))],
      ['a script in the page', () => document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.x = 1' }))],
      ['another server', () => void fetch('http://elsewhere.invalid/').catch(() => undefined)],
      ['a picture of another server', () => document.body.append(Object.assign(new Image(), { src: 'http://elsewhere.invalid/x.png' }))],
      ['a line of the console', () => console.error('broken')],
      ['an error that nobody catches', () => void setTimeout(() => { throw new Error('broken'); })],
    ] as const) {
      await page.evaluate(wrong);
      await expect.poll(() => watch.take().length, what).toBeGreaterThan(0);
    }
    await page.evaluate(() => fetch('/tollgate.control.v1.SystemService/Gone', { method: 'POST' }));
    expect(watch.take()).toEqual([]);
    expect(stack.leaks(`x ${stack.adminToken} y`)).toEqual([stack.adminToken]);
    expect(stack.leaks('tgk_0123456789abcdefghijklmn')).toHaveLength(1);
  });
});
