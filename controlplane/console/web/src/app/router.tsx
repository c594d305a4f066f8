// Every address of the console, what its parameters are, and which part of the program shows it. Parts are loaded when they
// are first needed, one for each area.

import { Code, ConnectError } from '@connectrpc/connect';
import { createQueryOptions } from '@connectrpc/connect-query';
import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from '@tanstack/react-router';
import { queryClient } from '@/api/client';
import { transport } from '@/api/transport';
import { basePath } from '@/boot';
import { NotFound } from '@/components/NotFound';
import { Soon, Lines } from '@/components/Region';
import { AccountService } from '@/gen/tollgate/control/v1/account_pb';
import { parseSearch, search, stringifySearch } from '@/lib/search';
import * as access from '@/pages/access/search';
import * as account from '@/pages/account/search';
import * as audit from '@/pages/audit/search';
import * as edges from '@/pages/edges/search';
import * as endpoints from '@/pages/endpoints/search';
import * as money from '@/pages/money/search';
import * as overview from '@/pages/overview/search';
import * as requests from '@/pages/requests/search';
import * as settings from '@/pages/settings/search';
import { Broken } from './Broken';
import { open, Root } from './Root';

const root = createRootRoute({
  component: Root,
  notFoundComponent: () => <NotFound />,
  beforeLoad: async ({ location }) => {
    if (open.has(location.pathname)) return;
    try {
      await queryClient.ensureQueryData({ ...createQueryOptions(AccountService.method.getCaller, {}, { transport }), revalidateIfStale: true });
    } catch (err) {
      if (ConnectError.from(err).code !== Code.Unauthenticated) throw err;
      throw redirect({ to: '/login', search: location.href === '/' ? {} : { next: location.href } });
    }
  },
});

const routes = [
  createRoute({ getParentRoute: () => root, path: '/', validateSearch: search(overview.overview), component: lazyRouteComponent(() => import('@/pages/overview'), 'OverviewPage') }),

  createRoute({ getParentRoute: () => root, path: '/endpoints', validateSearch: search(endpoints.list), component: lazyRouteComponent(() => import('@/pages/endpoints'), 'EndpointsPage') }),
  createRoute({ getParentRoute: () => root, path: '/endpoints/new', validateSearch: search(endpoints.create), component: lazyRouteComponent(() => import('@/pages/endpoints'), 'NewEndpointPage') }),
  createRoute({
    getParentRoute: () => root,
    path: '/endpoints/$name',
    beforeLoad: ({ params }) => {
      throw redirect({ to: '/endpoints/$name/$tab', params: { name: params.name, tab: 'overview' }, replace: true });
    },
  }),
  createRoute({ getParentRoute: () => root, path: '/endpoints/$name/$tab', validateSearch: search(endpoints.one), component: lazyRouteComponent(() => import('@/pages/endpoints'), 'EndpointPage') }),

  createRoute({ getParentRoute: () => root, path: '/requests', validateSearch: search(requests.list), component: lazyRouteComponent(() => import('@/pages/requests'), 'RequestsPage') }),
  createRoute({ getParentRoute: () => root, path: '/requests/$id', validateSearch: search(requests.one), component: lazyRouteComponent(() => import('@/pages/requests'), 'RequestPage') }),

  createRoute({ getParentRoute: () => root, path: '/keys', validateSearch: search(access.keys), component: lazyRouteComponent(() => import('@/pages/access'), 'KeysPage') }),
  createRoute({ getParentRoute: () => root, path: '/keys/$id', validateSearch: search(access.key), component: lazyRouteComponent(() => import('@/pages/access'), 'KeyPage') }),
  createRoute({ getParentRoute: () => root, path: '/teams', validateSearch: search(access.teams), component: lazyRouteComponent(() => import('@/pages/access'), 'TeamsPage') }),
  createRoute({ getParentRoute: () => root, path: '/teams/$name', validateSearch: search(access.team), component: lazyRouteComponent(() => import('@/pages/access'), 'TeamPage') }),
  createRoute({ getParentRoute: () => root, path: '/secrets', validateSearch: search(access.secrets), component: lazyRouteComponent(() => import('@/pages/access'), 'SecretsPage') }),
  createRoute({ getParentRoute: () => root, path: '/secrets/$name', validateSearch: search(access.secret), component: lazyRouteComponent(() => import('@/pages/access'), 'SecretPage') }),

  createRoute({ getParentRoute: () => root, path: '/budgets', validateSearch: search(money.budgets), component: lazyRouteComponent(() => import('@/pages/money'), 'BudgetsPage') }),
  createRoute({ getParentRoute: () => root, path: '/budgets/$id', validateSearch: search(money.budget), component: lazyRouteComponent(() => import('@/pages/money'), 'BudgetPage') }),
  createRoute({ getParentRoute: () => root, path: '/usage', validateSearch: search(money.usage), component: lazyRouteComponent(() => import('@/pages/money'), 'UsagePage') }),

  createRoute({ getParentRoute: () => root, path: '/edges', validateSearch: search(edges.list), component: lazyRouteComponent(() => import('@/pages/edges'), 'EdgesPage') }),
  createRoute({ getParentRoute: () => root, path: '/edges/$node', validateSearch: search(edges.one), component: lazyRouteComponent(() => import('@/pages/edges'), 'EdgePage') }),

  createRoute({ getParentRoute: () => root, path: '/audit', validateSearch: search(audit.list), component: lazyRouteComponent(() => import('@/pages/audit'), 'AuditPage') }),
  createRoute({ getParentRoute: () => root, path: '/audit/$id', validateSearch: search(audit.one), component: lazyRouteComponent(() => import('@/pages/audit'), 'AuditEntryPage') }),

  createRoute({
    getParentRoute: () => root,
    path: '/settings',
    beforeLoad: () => {
      throw redirect({ to: '/settings/$section', params: { section: 'general' }, replace: true });
    },
  }),
  createRoute({ getParentRoute: () => root, path: '/settings/$section', validateSearch: search(settings.section), component: lazyRouteComponent(() => import('@/pages/settings'), 'SettingsPage') }),

  createRoute({ getParentRoute: () => root, path: '/account', component: lazyRouteComponent(() => import('@/pages/account'), 'AccountPage') }),
  createRoute({ getParentRoute: () => root, path: '/login', validateSearch: search(account.login), component: lazyRouteComponent(() => import('@/pages/account'), 'LoginPage') }),
  createRoute({ getParentRoute: () => root, path: '/setup', component: lazyRouteComponent(() => import('@/pages/account'), 'SetupPage') }),
  createRoute({ getParentRoute: () => root, path: '/device', validateSearch: search(account.device), component: lazyRouteComponent(() => import('@/pages/account'), 'DevicePage') }),
] as const;

export const router = createRouter({
  routeTree: root.addChildren(routes),
  basepath: basePath,
  parseSearch,
  stringifySearch,
  defaultPreload: 'intent',
  defaultErrorComponent: Broken,
  defaultPendingComponent: () => (
    <Soon>
      <Lines n={6} />
    </Soon>
  ),
  defaultPendingMs: 150,
  scrollRestoration: true,
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
