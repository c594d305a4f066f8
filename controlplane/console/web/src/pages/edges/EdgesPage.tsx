import { Anchor, Button, Progress } from '@mantine/core';
import { useQuery } from '@connectrpc/connect-query';
import { IconPlus, IconServer2 } from '@tabler/icons-react';
import { getRouteApi } from '@tanstack/react-router';
import { useMemo } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { fleet } from '@/api/live';
import { useNow } from '@/app/clock';
import { useKeys } from '@/app/keys';
import { zone } from '@/app/preferences';
import { type Column, DataTable } from '@/components/DataTable';
import { Page } from '@/components/Page';
import { Empty, Lines, Soon } from '@/components/Region';
import { AsOf, When } from '@/components/When';
import { EdgeService } from '@/gen/tollgate/control/v1/edge_pb';
import { type Node, SystemService } from '@/gen/tollgate/control/v1/system_pb';
import { count, list, percent, shortCount } from '@/lib/text';
import { ago, clock, millis, took } from '@/lib/time';
import { t } from '@/text/edges';
import { AddEdge } from './AddEdge';
import classes from './EdgesPage.module.css';
import { behindBy, openTargets, sorted, stateOf } from './state';
import { EdgeStatus } from './EdgeStatus';

const route = getRouteApi('/edges');

/** Which edge is wrong, and whether it is dangerous. */
export function EdgesPage() {
  const { sel, gone } = route.useSearch();
  const navigate = route.useNavigate();
  const { may } = useCaller();
  const f = fleet.use();
  const now = useNow();
  const openAdd = () => void navigate({ search: (s) => ({ ...s, sel: 'new' }) });
  const mayAdd = may(Permission.EDGES_WRITE);
  useKeys(mayAdd ? { n: openAdd } : {});
  const nodes = useMemo(() => sorted(f?.nodes ?? [], now), [f, now]);
  const away = nodes.filter((n) => stateOf(n, now) === 'gone');
  const shown = gone ? nodes : nodes.filter((n) => stateOf(n, now) !== 'gone');
  const columns = useColumns(f?.revision ?? 0n, now);
  return (
    <Page
      title={t('title')}
      wide
      beside={f ? <AsOf at={f.receivedAt} /> : null}
      copy={{ cli: 'tollgate edge list', call: { method: SystemService.method.listNodes, input: {} } }}
      actions={
        mayAdd ? (
          <Button leftSection={<IconPlus size={14} aria-hidden />} onClick={openAdd}>
            {t('add')}
          </Button>
        ) : null
      }
    >
      {!f ? (
        <Soon>
          <Lines n={6} />
        </Soon>
      ) : nodes.length === 0 ? (
        <div className="card">
          <Empty title={t('none')} icon={<IconServer2 size={32} />} cli="tollgate edge token" actions={mayAdd ? <Button onClick={openAdd}>{t('add')}</Button> : null}>
            {t('noneWhy')}
          </Empty>
        </div>
      ) : (
        <>
          <Sentence nodes={shown} newest={f.revision} now={now} />
          <div className="card">
            <DataTable
              id="edges"
              label={t('title')}
              columns={columns}
              rows={shown}
              rowKey={(n) => n.id}
              onOpen={(n) => void navigate({ to: '/edges/$node', params: { node: n.id } })}
              tone={(n) => (stateOf(n, now) === 'gone' ? 'dim' : undefined)}
            />
          </div>
          {away.length ? (
            <Anchor component="button" type="button" size="sm" onClick={() => void navigate({ search: (s) => ({ ...s, gone: gone ? undefined : true }), replace: true })}>
              {gone ? t('hideGone') : t('showGone', { n: away.length })}
            </Anchor>
          ) : null}
        </>
      )}
      {sel === 'new' && mayAdd ? <AddEdge onClose={() => void navigate({ search: (s) => ({ ...s, sel: undefined }) })} /> : null}
    </Page>
  );
}

/** The fleet in words, what is wrong first named, and how far the newest revision is. */
function Sentence({ nodes, newest, now }: { nodes: Node[]; newest: bigint; now: number }) {
  const z = zone.use();
  const rollout = useQuery(EdgeService.method.getRollout, { revision: newest }, { staleTime: Infinity });
  const of = (state: string) => nodes.filter((n) => stateOf(n, now) === state);
  const [serving, behind, silent, draining] = [of('serving'), of('behind'), of('silent'), of('draining')];
  const published = millis(rollout.data?.publishTime);
  const heard = nodes.length - silent.length - of('gone').length;
  const live = nodes.filter((n) => stateOf(n, now) !== 'silent' && stateOf(n, now) !== 'gone' && n.revision >= newest).length;
  const told = [t('sentence', { edges: t('edges', { n: nodes.length }), serving: serving.length })];
  if (behind.length === 1) told.push(t('behindOne', { name: behind[0]!.id, n: String(behindBy(behind[0]!, newest)), since: published === undefined ? '' : `, ${ago(published, now)}` }));
  else if (behind.length) told.push(t('behindMany', { n: behind.length, names: list(behind.map((n) => n.id)) }));
  if (silent.length === 1) told.push(t('silentOne', { name: silent[0]!.id, ago: ago(millis(silent[0]!.lastSeenTime) ?? now, now) }));
  else if (silent.length) told.push(t('silentMany', { n: silent.length, names: list(silent.map((n) => n.id)) }));
  if (draining.length) told.push(t('drainingSome', { n: draining.length }));
  return (
    <div className={classes.head}>
      <p className={classes.sentence}>{told.join(' ')}</p>
      <div className={classes.rollout}>
        <span className="dim">{published === undefined ? t('newest', { revision: String(newest) }) : t('publishedAt', { revision: String(newest), time: clock(published, z) })}</span>
        <Progress value={heard ? (live / heard) * 100 : 0} w={120} size={6} color={live === heard ? 'green.8' : 'orange.7'} aria-label={t('rollout', { revision: String(newest), live, total: heard })} />
        <span className="num">{t('onEdges', { live, total: heard })}</span>
      </div>
    </div>
  );
}

function useColumns(newest: bigint, now: number): Column<Node>[] {
  return useMemo(
    () => [
      { id: 'node', header: t('node'), fixed: true, cell: (n) => <b className="mono">{n.id}</b> },
      { id: 'status', header: t('status'), fixed: true, cell: (n) => <EdgeStatus node={n} now={now} /> },
      { id: 'seen', header: t('seen'), cell: (n) => <When at={n.lastSeenTime} /> },
      {
        id: 'revision',
        header: t('revision'),
        align: 'right',
        cell: (n) => {
          const by = behindBy(n, newest);
          return by > 0n ? <span className="warn">{t('revisionBehind', { revision: String(n.revision), n: by })}</span> : String(n.revision);
        },
      },
      { id: 'rate', header: t('rate'), align: 'right', cell: (n) => n.requestRate.toFixed(1) },
      { id: 'overhead', header: t('overhead'), align: 'right', cell: (n) => (n.overheadP50Us ? `${took(Number(n.overheadP50Us) / 1000)} / ${took(Number(n.overheadP99Us) / 1000)}` : '–') },
      { id: 'errors', header: t('errors'), align: 'right', cell: (n) => (n.requests ? percent(Number(n.errors) / Number(n.requests)) : '–') },
      {
        id: 'breakers',
        header: t('breakers'),
        cell: (n) => {
          const open = openTargets(n).length;
          return open ? <span className="warn">{t('breakersOpen', { n: open })}</span> : <span className="dim">{t('noLag')}</span>;
        },
      },
      {
        id: 'lag',
        header: t('lag'),
        align: 'right',
        cell: (n) =>
          n.spoolEvents ? <span className={n.spoolAgeMs > 5000n ? 'warn' : undefined}>{t('lagOf', { n: Number(n.spoolEvents), age: took(Number(n.spoolAgeMs)) })}</span> : <span className="dim">{t('noLag')}</span>,
      },
      { id: 'inflight', header: t('inFlight'), align: 'right', cell: (n) => count(n.inFlight) },
      { id: 'memory', header: t('memory'), align: 'right', hidden: true, cell: (n) => (n.memoryBytes ? `${shortCount(n.memoryBytes)}B` : '–') },
      { id: 'region', header: t('region'), cell: (n) => n.region || <span className="dim">–</span> },
      { id: 'version', header: t('version'), cell: (n) => <span className="mono">{n.version}</span> },
      { id: 'uptime', header: t('uptime'), hidden: true, cell: (n) => <When at={n.startTime} /> },
    ],
    [newest, now],
  );
}
