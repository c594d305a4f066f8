import { Button, Code } from '@mantine/core';
import { useMutation } from '@connectrpc/connect-query';
import { notifications } from '@mantine/notifications';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { fleet } from '@/api/live';
import { useNow } from '@/app/clock';
import { type Column, DataTable } from '@/components/DataTable';
import { Confirm } from '@/components/Confirm';
import { NotFound } from '@/components/NotFound';
import { Page, Section } from '@/components/Page';
import { Lines, Soon } from '@/components/Region';
import { Status, type Tone } from '@/components/Status';
import { AsOf, At, When } from '@/components/When';
import { clientOf } from '@/api/client';
import { EdgeService } from '@/gen/tollgate/control/v1/edge_pb';
import type { Node, NodeTarget } from '@/gen/tollgate/control/v1/system_pb';
import { count } from '@/lib/text';
import { ago, millis, took } from '@/lib/time';
import { t } from '@/text/edges';
import { EdgeStatus } from './EdgeStatus';
import classes from './EdgesPage.module.css';
import { behindBy, stateOf } from './state';

const route = getRouteApi('/edges/$node');

/** One edge: how it is, what that means, and what can be done. */
export function EdgePage() {
  const { node: name } = route.useParams();
  const { may } = useCaller();
  const f = fleet.use();
  const now = useNow();
  const [draining, setDraining] = useState(false);
  const end = useMutation(EdgeService.method.drainNode);
  const node = f?.nodes.find((n) => n.id === name);
  if (!f) {
    return (
      <Page title={name}>
        <Soon>
          <Lines n={8} />
        </Soon>
      </Page>
    );
  }
  if (!node) return <NotFound what={t('notFound', { name })} audit={name} />;
  const serving = f.nodes.filter((n) => stateOf(n, now) === 'serving');
  return (
    <Page
      title={name}
      heading={<span className="mono">{name}</span>}
      parent={{ to: '/edges', label: t('title') }}
      beside={
        <>
          <EdgeStatus node={node} now={now} />
          <AsOf at={node.lastSeenTime} />
        </>
      }
      copy={{ cli: `tollgate edge get ${name}`, call: { method: EdgeService.method.getNode, input: { node: name } } }}
      actions={
        may(Permission.EDGES_WRITE) ? (
          node.draining ? (
            <Button variant="default" loading={end.isPending} onClick={() => end.mutate({ node: name, end: true })}>
              {t('endDrain')}
            </Button>
          ) : (
            <Button variant="default" onClick={() => setDraining(true)}>
              {t('drain')}
            </Button>
          )
        ) : null
      }
    >
      <div className={classes.columns}>
        <Section title={t('risks')}>
          <Risks node={node} newest={f.revision} now={now} />
        </Section>
        <Section title={t('facts')}>
          <Facts node={node} />
        </Section>
      </div>
      <Targets node={node} now={now} mayReset={may(Permission.EDGES_WRITE)} />
      <Section title={t('environment')}>
        {node.missingEnv.length === 0 && node.unresolvedSecrets.length === 0 ? <span className="dim">{t('envFine')}</span> : null}
        {node.missingEnv.length ? (
          <Status tone="warn">
            {t('missingEnv')} {node.missingEnv.map((e) => <Code key={e}>{e}</Code>)}
          </Status>
        ) : null}
        {node.unresolvedSecrets.map((s) => (
          <div key={s.secret}>
            <Status tone="bad">
              {t('unresolved')} <Code>{s.secret}</Code>
            </Status>
            <div className="dim wrap">{s.error}</div>
          </div>
        ))}
      </Section>
      {draining ? (
        <Confirm
          title={t('drainTitle', { name })}
          action={t('drain')}
          danger={serving.length <= 1}
          run={() => clientOf(EdgeService).drainNode({ node: name })}
          onClose={() => setDraining(false)}
        >
          {t('drainText', { n: Number(node.inFlight) })} {serving.length <= 1 && serving[0]?.id === name ? <b>{t('drainLast')}</b> : null}
        </Confirm>
      ) : null}
    </Page>
  );
}

function Risks({ node, newest, now }: { node: Node; newest: bigint; now: number }) {
  const state = stateOf(node, now);
  const by = behindBy(node, newest);
  const out: { tone: Tone; text: string }[] = [];
  if (state === 'silent' || state === 'gone') out.push({ tone: 'bad', text: t('riskSilent', { ago: took(now - (millis(node.lastSeenTime) ?? now)), revision: String(node.revision) }) });
  else if (by > 0n) out.push({ tone: 'warn', text: t('riskBehind', { revision: String(node.revision), n: String(by) }) });
  if (node.spoolEvents > 0n && node.spoolAgeMs > 1000n) out.push({ tone: 'warn', text: t('riskSpool', { name: node.id, n: Number(node.spoolEvents), age: took(Number(node.spoolAgeMs)) }) });
  if (node.spoolPercent >= 50) out.push({ tone: node.spoolPercent >= 90 ? 'bad' : 'warn', text: t('riskSpoolFull', { percent: node.spoolPercent }) });
  if (node.draining) out.push({ tone: 'info', text: t('riskDraining') });
  if (Math.abs(Number(node.clockSkewMs)) > 1000) out.push({ tone: 'warn', text: t('riskSkew', { ms: String(node.clockSkewMs) }) });
  if (!out.length) out.push({ tone: 'ok', text: t('riskNone') });
  return (
    <ul className={classes.risks}>
      {out.map((r) => (
        <li key={r.text}>
          <Status tone={r.tone}>
            <span style={{ whiteSpace: 'normal', color: 'var(--mantine-color-text)' }}>{r.text}</span>
          </Status>
        </li>
      ))}
    </ul>
  );
}

function Facts({ node }: { node: Node }) {
  return (
    <dl className={classes.facts}>
      <dt>{t('revision')}</dt>
      <dd className="mono">{String(node.revision)}</dd>
      <dt>{t('version')}</dt>
      <dd className="mono">{node.version}</dd>
      <dt>{t('region')}</dt>
      <dd>{node.region || '–'}</dd>
      <dt>{t('started')}</dt>
      <dd>
        <At at={node.startTime} /> <span className="dim">(<When at={node.startTime} />)</span>
      </dd>
      <dt>{t('address')}</dt>
      <dd className="mono">{node.address || '–'}</dd>
      {node.advertised ? (
        <>
          <dt>{t('advertised')}</dt>
          <dd className="mono">{node.advertised}</dd>
        </>
      ) : null}
      <dt>{t('requestsTotal')}</dt>
      <dd>{count(node.requests)}</dd>
      <dt>{t('errorsTotal')}</dt>
      <dd>{count(node.errors)}</dd>
      <dt>{t('inFlight')}</dt>
      <dd>{count(node.inFlight)}</dd>
      <dt>{t('overhead')}</dt>
      <dd>{node.overheadP50Us ? `${took(Number(node.overheadP50Us) / 1000)} / ${took(Number(node.overheadP99Us) / 1000)}` : '–'}</dd>
      <dt>{t('spool')}</dt>
      <dd>{node.spoolEvents ? t('lagOf', { n: Number(node.spoolEvents), age: took(Number(node.spoolAgeMs)) }) : t('noLag')}</dd>
      <dt>{t('skew')}</dt>
      <dd>{t('skewOf', { ms: String(node.clockSkewMs) })}</dd>
    </dl>
  );
}

const tones: Record<string, [Tone, string]> = {
  ok: ['ok', t('stateOk')],
  open: ['bad', t('stateOpen')],
  'half-open': ['warn', t('stateHalf')],
  ejected: ['warn', t('stateEjected')],
  unhealthy: ['bad', t('stateUnhealthy')],
};

function Targets({ node, now, mayReset }: { node: Node; now: number; mayReset: boolean }) {
  const reset = useMutation(EdgeService.method.resetBreaker, { onSuccess: () => notifications.show({ message: t('resetDone') }) });
  const columns: Column<NodeTarget>[] = [
    { id: 'endpoint', header: t('endpoint'), cell: (x) => x.endpoint },
    { id: 'target', header: t('target'), cell: (x) => <span className="mono">{x.target}</span> },
    {
      id: 'state',
      header: t('state'),
      cell: (x) => {
        const [tone, word] = tones[x.state] ?? ['info', x.state];
        return <Status tone={tone}>{word}</Status>;
      },
    },
    { id: 'attempts', header: t('attempts'), align: 'right', cell: (x) => count(x.attempts) },
    { id: 'failures', header: t('failures'), align: 'right', cell: (x) => count(x.failures) },
    { id: 'inflight', header: t('inFlight'), align: 'right', cell: (x) => count(x.inFlight) },
    {
      id: 'retry',
      header: t('nextTry'),
      align: 'right',
      cell: (x) => {
        const at = millis(x.retryTime);
        if (x.state === 'ok' || at === undefined) return <span className="dim">–</span>;
        return at > now ? t('nextTryIn', { s: Math.ceil((at - now) / 1000) }) : ago(at, now);
      },
    },
  ];
  return (
    <Section title={t('targets')} flush>
      {node.targets.length ? (
        <DataTable
          id="edge-targets"
          label={t('targets')}
          columns={columns}
          rows={node.targets}
          rowKey={(x) => `${x.endpoint} ${x.target}`}
          rowActions={(x) =>
            mayReset && x.state !== 'ok' ? (
              <Button
                size="compact-xs"
                variant="default"
                aria-label={t('resetOf', { target: x.target, node: node.id })}
                loading={reset.isPending && reset.variables?.target === x.target}
                onClick={() => reset.mutate({ node: node.id, endpoint: x.endpoint, target: x.target })}
              >
                {t('reset')}
              </Button>
            ) : null
          }
        />
      ) : (
        <div className="dim" style={{ padding: '8px 16px 16px' }}>
          {t('noTargets')}
        </div>
      )}
    </Section>
  );
}
