import './mantine.css';
import '@mantine/notifications/styles.css';
import '@mantine/spotlight/styles.css';
import './theme.css';

import { localStorageColorSchemeManager, MantineProvider } from '@mantine/core';
import { Notifications } from '@mantine/notifications';
import { TransportProvider } from '@connectrpc/connect-query';
import { QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { setNonce } from 'get-nonce';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { queryClient } from './api/client';
import { found, lost } from './api/live';
import { began, done, failed } from './api/saves';
import { transport, watch } from './api/transport';
import { router } from './app/router';
import { styleNonce } from './boot';
import { cssVariables, theme } from './theme';

const nonce = styleNonce();
setNonce(nonce);

watch({
  answered: found,
  away: lost,
  signedOut() {
    const { pathname, href } = router.state.location;
    if (pathname !== '/login') void router.navigate({ to: '/login', search: { next: href, ended: true } });
  },
  saving: began,
  failed,
  changed: (revision) => void done(revision),
});

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <MantineProvider
      theme={theme}
      cssVariablesResolver={cssVariables}
      defaultColorScheme="auto"
      colorSchemeManager={localStorageColorSchemeManager({ key: 'tollgate-scheme' })}
      getStyleNonce={() => nonce}
    >
      <Notifications position="bottom-right" limit={4} />
      <TransportProvider transport={transport}>
        <QueryClientProvider client={queryClient}>
          <RouterProvider router={router} />
        </QueryClientProvider>
      </TransportProvider>
    </MantineProvider>
  </StrictMode>,
);
