// What is done to an endpoint from its row and from its page.

import { Button, Group } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { createConnectQueryKey } from '@connectrpc/connect-query';
import { clientOf, queryClient, refresh } from '@/api/client';
import { override } from '@/api/transport';
import { problemOf } from '@/api/errors';
import { Confirm } from '@/components/Confirm';
import { ConfigService } from '@/gen/tollgate/control/v1/config_pb';
import { type Endpoint, EndpointService } from '@/gen/tollgate/control/v1/endpoint_pb';
import { t } from '@/text/endpoints';
import { t as shell } from '@/text/shell';
import { only } from './list/yaml';

const calls = clientOf(EndpointService);
const undoFor = 10_000;

/** Tells what was done, with a button for what can be done about it. */
function tell(message: string, verb: string, run: () => Promise<unknown>): void {
  const id = notifications.show({
    autoClose: undoFor,
    message: (
      <Group gap="sm" justify="space-between" wrap="nowrap">
        <span>{message}</span>
        <Button
          size="compact-xs"
          variant="default"
          onClick={() => {
            notifications.hide(id);
            run().catch(complain);
          }}
        >
          {verb}
        </Button>
      </Group>
    ),
  });
}

function complain(err: unknown): void {
  const p = problemOf(err);
  notifications.show({ color: 'red', title: p.message, message: p.hint });
}

// Every answer in memory that has the endpoint, with another one in its place; gives back what puts the old ones back.
function replaceInMemory(id: string, change: (e: Endpoint) => Endpoint): () => void {
  const key = createConnectQueryKey({ schema: EndpointService, cardinality: undefined });
  const before = queryClient.getQueriesData({ queryKey: key });
  const replaced = (data: unknown): unknown => {
    if (data === null || typeof data !== 'object') return data;
    const d = data as { endpoint?: Endpoint; endpoints?: Endpoint[]; pages?: unknown[] };
    if (d.pages) return { ...d, pages: d.pages.map(replaced) };
    if (d.endpoints) return { ...d, endpoints: d.endpoints.map((e) => (e.id === id ? change(e) : e)) };
    if (d.endpoint?.id === id) return { ...d, endpoint: change(d.endpoint) };
    return data;
  };
  queryClient.setQueriesData({ queryKey: key }, replaced);
  return () => {
    for (const [k, data] of before) queryClient.setQueryData(k, data);
  };
}

/** Switches an endpoint on or off. The page shows it at once, and takes it back if the server refuses. */
export async function setEnabled(endpoint: Endpoint, enabled: boolean, anyway = false): Promise<void> {
  const restore = replaceInMemory(endpoint.id, (e) => ({ ...e, disabled: !enabled }));
  const call = (on: boolean) => calls.setEndpointEnabled({ endpoint: endpoint.id, enabled: on }, { headers: anyway ? override : {} });
  try {
    await call(enabled);
    tell(t(enabled ? 'enabledNow' : 'disabledNow', { name: endpoint.name }), t('undo'), () => call(!enabled).then(() => refresh(EndpointService)));
  } catch (err) {
    restore();
    if (problemOf(err).code === 'managed_by_file') tell(problemOf(err).message, shell('editAnyway'), () => setEnabled(endpoint, enabled, true));
    else complain(err);
  }
  await refresh(EndpointService);
}

/** Asks before an endpoint is deleted, with what it served. Its revisions stay, so it can be brought back. */
export function DeleteEndpoint({ endpoint, requests, onClose, onDone }: { endpoint: Endpoint; requests: number | undefined; onClose: () => void; onDone?: () => void }) {
  const run = async () => {
    await calls.deleteEndpoint({ endpoint: endpoint.id, etag: endpoint.etag }, { headers: endpoint.managedBy ? override : {} });
    await refresh(EndpointService);
    tell(t('deleted', { name: endpoint.name }), t('undo'), async () => {
      await calls.revertEndpoint({ endpoint: endpoint.id, revision: endpoint.revision });
      await refresh(EndpointService);
      notifications.show({ message: t('restored', { name: endpoint.name }), autoClose: 3000 });
    });
    onDone?.();
  };
  return (
    <Confirm title={t('deleteTitle', { name: endpoint.name })} action={t('deleteAction')} typed={requests ? endpoint.name : undefined} run={run} onClose={onClose}>
      {requests === undefined ? null : requests ? t('deleteTraffic', { n: requests }) : t('deleteNoTraffic')} {t('deleteEffect')} {endpoint.managedBy ? shell('managedBy', { file: endpoint.managedBy }) : null}
    </Confirm>
  );
}

/** All endpoints as a file declares them, or one of them. */
export async function yamlOf(name?: string): Promise<string> {
  const { text } = await clientOf(ConfigService).export({ kinds: ['endpoint'] });
  const file = new TextDecoder().decode(text);
  return name === undefined ? file : only(file, 'endpoints', name);
}
