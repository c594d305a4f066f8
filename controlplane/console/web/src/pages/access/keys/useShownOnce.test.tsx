import { create } from '@bufbuild/protobuf';
import { createRouterTransport } from '@connectrpc/connect';
import { TransportProvider } from '@connectrpc/connect-query';
import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { createMemoryHistory, createRootRoute, createRoute, createRouter, RouterProvider } from '@tanstack/react-router';
import { cleanup, configure, fireEvent, render, screen, waitFor } from '@testing-library/react';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Permission } from '@/gen/tollgate/control/v1/access_pb';
import { AccountService } from '@/gen/tollgate/control/v1/account_pb';
import { EndpointService } from '@/gen/tollgate/control/v1/endpoint_pb';
import { KeySchema } from '@/gen/tollgate/control/v1/key_pb';
import { SystemService } from '@/gen/tollgate/control/v1/system_pb';
import { useShownOnce } from './useShownOnce';

// A busy machine takes its time over the first page.
vi.setConfig({ testTimeout: 60_000 });
configure({ asyncUtilTimeout: 30_000 });
window.scrollTo = () => undefined;

const secret = 'tgk_0123456789abcdefghijklmnopqrstuvwxyz-a1B2';
const made = create(KeySchema, { id: 'key_1', name: 'ana' });
const closed = vi.fn();
const write = vi.fn<(text: string) => Promise<void>>();

function Panel() {
  const once = useShownOnce({ made, secret }, closed);
  return (
    <>
      {once.panel}
      <button onClick={once.close}>shut</button>
    </>
  );
}

const transport = createRouterTransport(({ service }) => {
  service(AccountService, { getCaller: () => ({ permissions: [Permission.CONFIG_READ] }) });
  service(EndpointService, { listEndpoints: () => ({ endpoints: [{ name: 'bria', path: '/bria' }] }) });
  service(SystemService, { getInfo: () => ({ gatewayUrl: 'http://gw.example.com' }) });
});

async function show() {
  const root = createRootRoute();
  const router = createRouter({
    routeTree: root.addChildren([
      createRoute({ getParentRoute: () => root, path: '/', component: Panel }),
      createRoute({ getParentRoute: () => root, path: '/elsewhere', component: () => <p>elsewhere</p> }),
    ]),
    history: createMemoryHistory({ initialEntries: ['/'] }),
  });
  render(
    <MantineProvider env="test">
      <TransportProvider transport={transport}>
        <QueryClientProvider client={new QueryClient()}>
          <RouterProvider router={router as never} />
        </QueryClientProvider>
      </TransportProvider>
    </MantineProvider>,
  );
  await screen.findByRole('button', { name: 'Copy key' });
  return router;
}

const press = (name: string) => fireEvent.click(screen.getByRole('button', { name }));

beforeEach(() => {
  closed.mockReset();
  write.mockReset().mockResolvedValue();
  Object.defineProperty(navigator, 'clipboard', { configurable: true, value: { writeText: write } });
});
afterEach(cleanup);

it('asks who closes without having copied, and goes when told to', async () => {
  await show();
  press('shut');
  expect(await screen.findByText("You won't be able to see it again.")).toBeTruthy();
  expect(closed).not.toHaveBeenCalled();
  press('Close anyway');
  expect(closed).toHaveBeenCalledOnce();
  expect(write).not.toHaveBeenCalled();
});

it('copies and closes in one', async () => {
  await show();
  press('shut');
  fireEvent.click(await screen.findByRole('button', { name: 'Copy and close' }));
  await waitFor(() => expect(closed).toHaveBeenCalledOnce());
  expect(write).toHaveBeenCalledExactlyOnceWith(secret);
});

it('closes without a word once it is copied', async () => {
  await show();
  press('Copy key');
  await screen.findByRole('button', { name: 'Copied' });
  press('shut');
  expect(closed).toHaveBeenCalledOnce();
});

it('does not count a copy that the browser refused, and shows the key instead', async () => {
  write.mockRejectedValue(new Error('not allowed'));
  await show();
  press('Copy key');
  await screen.findByText(/does not let this page copy/);
  expect(screen.getByLabelText('The key').textContent).toBe(secret);
  press('shut');
  expect(await screen.findByText('Close without copying?')).toBeTruthy();
  expect(closed).not.toHaveBeenCalled();
});

it('asks who goes to another page as well', async () => {
  const router = await show();
  void router.navigate({ to: '/elsewhere' as never });
  expect(await screen.findByText('Close without copying?')).toBeTruthy();
  expect(screen.queryByText('elsewhere')).toBeNull();
  press('Close anyway');
  expect(await screen.findByText('elsewhere')).toBeTruthy();
});

it('has the key on the page only while somebody looks at it', async () => {
  await show();
  expect(document.body.innerHTML).not.toContain(secret);
  press('Show');
  expect(screen.getByLabelText('The key').textContent).toBe(secret);
  press('Hide');
  expect(document.body.innerHTML).not.toContain(secret);
});
