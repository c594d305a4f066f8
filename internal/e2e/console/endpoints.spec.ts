import { axe, expect, shot, test } from './harness/index.ts';

test.use({ deployment: { name: 'endpoints', args: ['--sample-data', '--sample-traffic', '0'] } });

test('the list says what there is, where a path goes, and what a filter finds', async ({ page, person }) => {
  await page.goto('/endpoints');
  const table = page.getByRole('region', { name: 'Endpoints' });
  await expect(table.getByRole('row', { name: /rerank/ })).toContainText('/rerank');
  await expect(table.getByRole('row', { name: /\bbria\b/ })).toContainText('$12.00/req');
  await axe(page);
  await shot(page, 'endpoints');

  await person.fill(page.getByRole('textbox', { name: 'Where does this path go?' }), '/bria/v1/text-to-image');
  await expect(page.getByText(/goes to bria, and on to .*\/v1\/text-to-image/)).toBeVisible();
  await expect(page).toHaveURL(/path=\/bria\/v1\/text-to-image/);
  await person.fill(page.getByRole('textbox', { name: 'Where does this path go?' }), '/nobody/is/here');
  await expect(page.getByText(/No endpoint answers POST \/nobody\/is\/here: callers get 404/)).toBeVisible();

  await person.press('Escape');
  await person.fill(page.getByRole('searchbox', { name: 'Filter endpoints' }), 'path:/rer');
  await expect(page.getByText('1 endpoint', { exact: true })).toBeVisible();
  await person.fill(page.getByRole('searchbox', { name: 'Filter endpoints' }), 'nonsense:yes');
  await expect(page.getByText(/nonsense/).last()).toBeVisible();
  await person.fill(page.getByRole('searchbox', { name: 'Filter endpoints' }), 'none-is-called-so');
  await expect(page.getByText(/No .* match/i)).toBeVisible();
  await person.click(page.getByRole('button', { name: 'Clear filters' }));
  await expect(table.getByRole('row', { name: /rerank/ })).toBeVisible();
});

for (const keyboardOnly of [false, true]) {
  test.describe(keyboardOnly ? 'with a keyboard only' : 'with a mouse', { tag: keyboardOnly ? ['@long'] : [] }, () => {
    test.use({ keyboardOnly });

    test('a price is made of a number in the last answer', { tag: '@task' }, async ({ page, person, stack }) => {
      // The answer is there before: somebody has tried the endpoint, which costs what it did until now.
      const before = await stack.call<{ endpoint: { name: string; price: object } }>('EndpointService/GetEndpoint', { endpoint: 'rerank' });
      await stack.call('EndpointService/UpdateEndpoint', {
        endpoint: { ...before.endpoint, etag: '', price: { fixed: { perRequest: { currencyCode: 'USD', units: '0', nanos: 100_000 } } } },
        updateMask: 'price',
      });
      await page.goto('/endpoints/rerank/try');
      await page.getByRole('textbox', { name: 'Path after /rerank' }).fill('/v1/rerank');
      await page.getByRole('textbox', { name: 'Body' }).fill('{"query":"a","documents":["b","c"]}');
      await page.getByRole('button', { name: /^Send/ }).click();
      await expect(page.getByText('Cost $0.0001')).toBeVisible();
      await page.getByRole('button', { name: 'Use as pricing sample' }).click();

      person.steps = 0;
      await person.click(page.getByRole('link', { name: 'Edit' }));
      if (keyboardOnly) {
        // The field of a choice has no size of its own, so that it counts as hidden; Tab leads to it all the same.
        await expect(page.getByRole('radiogroup', { name: 'Price' })).toBeVisible();
        const focused = () => page.getByRole('radio', { name: 'Fixed' }).evaluate((el) => el === document.activeElement);
        for (let i = 0; i < 100 && !(await focused()); i++) await page.keyboard.press('Tab');
        expect(await focused(), 'Tab leads to the kinds of price').toBe(true);
        await person.press('ArrowRight');
      } else {
        await person.click(page.getByRole('radiogroup', { name: 'Price' }).getByText('Meters', { exact: true }));
      }
      await person.click(page.getByRole('button', { name: /Count meta\.billed_units\.search_units/ }));
      const price = page.getByRole('textbox', { name: 'Unit price of search_units' });
      await expect(price).toBeFocused();
      person.steps++;
      await page.keyboard.insertText('0.002');
      await expect(page.getByRole('listitem', { name: 'search_units' })).toContainText('$0.002');
      await expect(page.getByRole('complementary', { name: 'Sample' })).toContainText('Sample costs$0.002');
      await axe(page);
      if (!keyboardOnly) await shot(page, 'price-meters');
      await person.press('ControlOrMeta+Enter');
      await expect(page.getByTestId('save-chip')).toContainText('Live on 4/4 edges');
      person.tookAtMost(5);

      const { endpoint } = await stack.call<{ endpoint: { price: { metered: { meters: object[]; fallback: string } } } }>('EndpointService/GetEndpoint', { endpoint: 'rerank' });
      expect(endpoint.price.metered.meters).toEqual([
        {
          name: 'requests',
          counters: [{ name: 'search_units', sources: [{ frame: 'meta.billed_units.search_units' }] }],
          units: [{ name: 'search_units' }],
          prices: [{ model: '*', rates: [{ unit: 'search_units', price: '0.002', per: '1' }] }],
          hold: { learned: true, least: '0.01' },
        },
      ]);

      await page.goto('/endpoints/rerank/try');
      await page.getByRole('textbox', { name: 'Path after /rerank' }).fill('/v1/rerank');
      await page.getByRole('textbox', { name: 'Body' }).fill('{"query":"a","documents":["b"]}');
      await page.getByRole('button', { name: /^Send/ }).click();
      await expect(page.getByText('Cost $0.002')).toBeVisible();
    });
  });
}

test('an endpoint becomes what it was, once it is told what that changes', async ({ page, person, stack }) => {
  const { endpoint } = await stack.call<{ endpoint: { revision: string; targets: { url: string }[] } }>('EndpointService/GetEndpoint', { endpoint: 'slow' });
  const good = endpoint.targets[0]!.url;
  await stack.call('EndpointService/UpdateEndpoint', { endpoint: { name: 'slow', targets: [{ url: 'http://127.0.0.1:9/wrong' }] }, updateMask: 'targets' });

  await page.goto('/endpoints/slow/history');
  await expect(page.getByRole('button', { name: /Changed targets\[0\]\.url/ })).toBeVisible();
  await axe(page);
  await person.click(page.getByRole('button', { name: new RegExp(`^rev ${endpoint.revision} `) }));
  await person.click(page.getByRole('button', { name: 'Revert to this' }));
  const dialog = page.getByRole('dialog');
  await expect(dialog.getByRole('row', { name: /targets\[0\]\.url/ })).toContainText('http://127.0.0.1:9/wrong');
  await expect(dialog.getByRole('row', { name: /targets\[0\]\.url/ })).toContainText(good);
  const untouched = await stack.call<{ endpoint: { targets: { url: string }[] } }>('EndpointService/GetEndpoint', { endpoint: 'slow' });
  expect(untouched.endpoint.targets[0]!.url, 'looking changes nothing').toBe('http://127.0.0.1:9/wrong');
  await person.click(dialog.getByRole('button', { name: `Revert to revision ${endpoint.revision}` }));
  await expect(page.getByTestId('save-chip')).toContainText('Live on 4/4 edges');
  await expect(page.getByRole('button', { name: /Reverted/ }).first()).toContainText('Current');
  person.tookAtMost(3);

  const now = await stack.call<{ endpoint: { targets: { url: string }[] } }>('EndpointService/GetEndpoint', { endpoint: 'slow' });
  expect(now.endpoint.targets[0]!.url).toBe(good);
  const told = await stack.cli('endpoint', 'history', 'slow', '-o', 'json');
  expect(told.stdout).toContain('revert');
});

test('an endpoint is switched off, deleted and brought back from where it stands', async ({ page, person, stack }) => {
  const state = async (name: string) => (await stack.call<{ endpoint: { disabled?: boolean } }>('EndpointService/GetEndpoint', { endpoint: name })).endpoint.disabled ?? false;
  await page.goto('/endpoints/flaky/overview');
  await expect(page.getByRole('heading', { level: 1, name: 'flaky' })).toBeVisible();
  await axe(page);
  await shot(page, 'endpoint');
  await person.click(page.getByRole('switch', { name: 'Enabled' }));
  await expect(page.getByText('flaky refuses requests.')).toBeVisible();
  await expect.poll(() => state('flaky')).toBe(true);
  await person.click(page.getByRole('button', { name: 'Undo' }));
  await expect.poll(() => state('flaky')).toBe(false);
  await expect(page.getByRole('switch', { name: 'Enabled' })).toBeChecked();

  await person.click(page.getByRole('button', { name: 'Delete…' }));
  const dialog = page.getByRole('dialog');
  await expect(dialog).toContainText('Callers will get 404 endpoint_not_found. Spend history stays.');
  const typed = dialog.getByRole('textbox');
  if (await typed.isVisible()) await person.fill(typed, 'flaky');
  await person.click(dialog.getByRole('button', { name: 'Delete endpoint' }));
  await expect(page.getByRole('heading', { level: 1, name: 'Endpoints' })).toBeVisible();
  await expect(page.getByRole('region', { name: 'Endpoints' }).getByRole('row', { name: /flaky/ })).toHaveCount(0);
  await person.click(page.getByRole('button', { name: 'Undo' }).last());
  await expect(page.getByRole('region', { name: 'Endpoints' }).getByRole('row', { name: /flaky/ })).toBeVisible();
});
