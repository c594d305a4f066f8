import { Alert, Button, Switch, Tabs, Tooltip } from '@mantine/core';
import { useQuery } from '@connectrpc/connect-query';
import { IconPencil, IconPlayerPlay, IconTrash } from '@tabler/icons-react';
import { getRouteApi, Link } from '@tanstack/react-router';
import { lazy, type ReactNode, Suspense, useState } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { problemOf } from '@/api/errors';
import { connection, fleet } from '@/api/live';
import { useKeys } from '@/app/keys';
import { NotFound } from '@/components/NotFound';
import { Page } from '@/components/Page';
import { Lines, Region, Soon } from '@/components/Region';
import { Chip } from '@/components/Status';
import { type Endpoint, EndpointService } from '@/gen/tollgate/control/v1/endpoint_pb';
import { NodeStatus } from '@/gen/tollgate/control/v1/system_pb';
import { openTry } from '@/pages/requests/try/TryDrawer';
import { t } from '@/text/endpoints';
import { DeleteEndpoint, setEnabled, yamlOf } from './actions';
import classes from './EndpointPage.module.css';
import { AccessChip, targetText } from './list/columns';
import { quote } from './list/facts';
import { useRecent } from './list/useRecent';
import { PriceChip } from './PriceChip';

const Overview = lazy(() => import('./detail/Overview'));
const Configure = lazy(() => import('./detail/Configure'));
const Try = lazy(() => import('./detail/Try'));
const Requests = lazy(() => import('./detail/Requests'));
const Usage = lazy(() => import('./detail/Usage'));
const History = lazy(() => import('./detail/History'));

const tabs = ['overview', 'configure', 'try', 'requests', 'usage', 'history'] as const;
type Tab = (typeof tabs)[number];
const parts: Record<Tab, (props: { endpoint: Endpoint }) => ReactNode> = {
  overview: (p) => <Overview {...p} />,
  configure: (p) => <Configure {...p} />,
  try: (p) => <Try {...p} />,
  requests: (p) => <Requests {...p} />,
  usage: (p) => <Usage {...p} />,
  history: (p) => <History {...p} />,
};

const route = getRouteApi('/endpoints/$name/$tab');

/** One endpoint: how it does, what it is set to, a request to try it with, and what it was. */
export function EndpointPage() {
  const { name, tab } = route.useParams();
  const query = useQuery(EndpointService.method.getEndpoint, { endpoint: name });
  const endpoint = query.data?.endpoint;
  if (!tabs.includes(tab as Tab) || (query.error && problemOf(query.error).code === 'not_found')) return <NotFound what={t('notFound', { name })} audit={`object:${name}`} />;
  if (!endpoint) {
    return (
      <Page title={name} parent={{ to: '/endpoints', label: t('title') }}>
        <Region query={query}>{() => null}</Region>
      </Page>
    );
  }
  return <Detail endpoint={endpoint} tab={tab as Tab} />;
}

function Detail({ endpoint, tab }: { endpoint: Endpoint; tab: Tab }) {
  const navigate = route.useNavigate();
  const { may } = useCaller();
  const { online } = connection.use();
  const usage = useRecent(endpoint.id);
  const [deleting, setDeleting] = useState(false);
  const write = may(Permission.CONFIG_WRITE);
  const { name } = endpoint;
  const go = (to: Tab) => navigate({ to: '/endpoints/$name/$tab', params: { name, tab: to } });
  useKeys({ t: () => tab !== 'try' && openTry(name) });
  return (
    <Page
      title={name}
      parent={{ to: '/endpoints', label: t('title') }}
      beside={
        <>
          <PriceChip endpoint={endpoint} />
          <AccessChip endpoint={endpoint} />
          <LiveChip revision={endpoint.revision} />
          {endpoint.managedBy ? <Chip>{t('managed', { file: endpoint.managedBy })}</Chip> : null}
        </>
      }
      intro={
        <span className={classes.route}>
          <span className="mono">{endpoint.path}</span> <span aria-hidden>→</span> <span className="mono wrap">{targetText(endpoint, 120)}</span>
          {endpoint.description ? <span className={classes.description}>{endpoint.description}</span> : null}
        </span>
      }
      actions={
        <>
          {write ? (
            <Tooltip label={t('offline')} disabled={online}>
              <Switch className={classes.enabled} label={t('enabled')} labelPosition="left" checked={!endpoint.disabled} disabled={!online} onChange={(e) => void setEnabled(endpoint, e.currentTarget.checked)} />
            </Tooltip>
          ) : null}
          {tab !== 'try' ? (
            <Button component={Link} to="/endpoints/$name/$tab" params={{ name, tab: 'try' } as never} leftSection={<IconPlayerPlay size={14} aria-hidden />}>
              {t('try')}
            </Button>
          ) : null}
          {write && tab !== 'configure' ? (
            <Button component={Link} to="/endpoints/$name/$tab" params={{ name, tab: 'configure' } as never} variant="default" leftSection={<IconPencil size={14} aria-hidden />}>
              {t('edit')}
            </Button>
          ) : null}
          {write ? (
            <Button variant="default" disabled={!online} leftSection={<IconTrash size={14} aria-hidden />} onClick={() => setDeleting(true)}>
              {t('delete')}
            </Button>
          ) : null}
        </>
      }
      copy={{
        cli: tab === 'history' ? `tollgate endpoint history ${quote(name)}` : tab === 'usage' ? `tollgate usage --endpoint ${quote(name)}` : tab === 'requests' ? `tollgate request list --endpoint ${quote(name)}` : `tollgate endpoint get ${quote(name)}`,
        yaml: () => yamlOf(name),
        call: { method: EndpointService.method.getEndpoint, input: { endpoint: name } },
      }}
    >
      {endpoint.access?.kind.case === 'public' ? <Alert color="red" className={classes.public}>{t('publicBanner', { path: endpoint.path })}</Alert> : null}
      <Tabs value={tab} onChange={(to) => to && void go(to as Tab)} keepMounted={false} activateTabWithKeyboard={false}>
        <Tabs.List aria-label={t('tabs')} className={classes.tabs}>
          {tabs.map((id) => (
            <Tabs.Tab key={id} value={id}>
              {t(`tab_${id}`)}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value={tab} className={classes.panel}>
          <Suspense
            fallback={
              <Soon>
                <Lines n={8} />
              </Soon>
            }
          >
            {parts[tab]({ endpoint })}
          </Suspense>
        </Tabs.Panel>
      </Tabs>
      {deleting ? <DeleteEndpoint endpoint={endpoint} requests={usage.known ? (usage.recent.get(endpoint.id)?.requests ?? 0) : undefined} onClose={() => setDeleting(false)} onDone={() => void navigate({ to: '/endpoints' })} /> : null}
    </Page>
  );
}

/** On how many edges its last change is in force. */
function LiveChip({ revision }: { revision: bigint }) {
  const f = fleet.use();
  const nodes = f?.nodes.filter((n) => n.status !== NodeStatus.SILENT) ?? [];
  if (!nodes.length) return null;
  const live = nodes.filter((n) => n.revision >= revision).length;
  return (
    <Chip tone={live === nodes.length ? 'ok' : 'warn'} hint={t('liveHint', { revision: String(revision) })}>
      {t('live', { live, total: nodes.length })}
    </Chip>
  );
}
