import { Tooltip } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { Amount } from '@/components/Amount';
import type { Column } from '@/components/DataTable';
import { Spark } from '@/components/Spark';
import { Chip, Status } from '@/components/Status';
import { When } from '@/components/When';
import type { Endpoint } from '@/gen/tollgate/control/v1/endpoint_pb';
import { count, percent, shortCount } from '@/lib/text';
import { t } from '@/text/endpoints';
import classes from '../EndpointsPage.module.css';
import { PriceChip } from '../PriceChip';
import { middle, stateOf } from './facts';
import type { RecentUsage } from './useRecent';

const tones = { ok: 'ok', error: 'bad', unpriced: 'warn', disabled: 'off' } as const;
const words = { ok: 'active', error: 'failing', unpriced: 'unpriced', disabled: 'disabled' } as const;

export function EndpointStatus({ endpoint, usage }: { endpoint: Endpoint; usage: RecentUsage }) {
  const recent = usage.recent.get(endpoint.id);
  const state = stateOf(endpoint, recent);
  const hint =
    state === 'error' ? t('failingHint', { share: percent(Math.max(recent!.errors, recent!.failed) / recent!.requests) }) : state === 'unpriced' ? t('unpricedHint', { n: recent!.unpriced }) : state === 'disabled' ? t('disabledHint') : undefined;
  return (
    <Status tone={tones[state]} hint={hint}>
      {t(words[state])}
    </Status>
  );
}

export function AccessChip({ endpoint }: { endpoint: Endpoint }) {
  const kind = endpoint.access?.kind;
  if (kind?.case !== 'public') return <Chip>{t('withKey')}</Chip>;
  return (
    <Chip tone="bad" hint={t('publicHint', { n: count(kind.value.requestsPerMinute) })}>
      {t('public')}
    </Chip>
  );
}

/** Where an endpoint sends: the target, and how many more there are. */
export function targetText(e: Endpoint, most: number): string {
  if (e.models) return t('modelsTarget');
  const more = e.targets.length - 1;
  return [middle(e.targets[0]?.url ?? '', most), more > 0 ? t('moreTargets', { n: more }) : ''].filter(Boolean).join(' ');
}

/** Path and target in one line. What does not fit is left out of the middle of the target: its end says which one it is. */
function RouteText({ endpoint, ...props }: { endpoint: Endpoint }) {
  const target = targetText(endpoint, 400);
  return (
    <span className={`mono ${classes.route}`} {...props}>
      <span className={classes.path}>{endpoint.path}</span>
      <span className="dim" aria-hidden>
        →
      </span>
      <span className={`dim clip ${classes.targetHead}`}>{target.slice(0, -tail)}</span>
      <span className={`dim ${classes.targetTail}`}>{target.slice(-tail)}</span>
    </span>
  );
}

/** How much of a target's end is always seen. */
const tail = 12;

/** The columns of the list; those whose figures are not to be had are left out. */
export function columnsOf(usage: RecentUsage, figures: boolean): Column<Endpoint>[] {
  const recent = (e: Endpoint) => usage.recent.get(e.id);
  const unknown = <span className="dim">–</span>;
  return [
    { id: 'status', header: t('status'), width: 104, cell: (e) => <EndpointStatus endpoint={e} usage={usage} /> },
    {
      id: 'name',
      header: t('name'),
      fixed: true,
      sort: 'name',
      cell: (e) => (
        <Link to="/endpoints/$name/$tab" params={{ name: e.name, tab: 'overview' }} className={classes.name} tabIndex={-1} onClick={(ev) => ev.stopPropagation()}>
          {e.name}
        </Link>
      ),
    },
    {
      id: 'route',
      header: t('route'),
      sort: 'path',
      cell: (e) => (
        <Tooltip label={`${e.path} → ${e.models ? t('modelsTarget') : e.targets.map((x) => x.url).join(', ')}`} multiline maw={520}>
          <RouteText endpoint={e} />
        </Tooltip>
      ),
    },
    { id: 'methods', header: t('methods'), cell: (e) => <span className={e.methods.length ? 'mono' : 'dim'}>{e.methods.length ? e.methods.join(' ') : t('anyMethod')}</span> },
    { id: 'price', header: t('price'), cell: (e) => <PriceChip endpoint={e} /> },
    { id: 'access', header: t('access'), cell: (e) => <AccessChip endpoint={e} /> },
    ...(figures
      ? ([
          {
            id: 'requests',
            header: t('requests24h'),
            align: 'right',
            cell: (e) => {
              const r = recent(e);
              if (!usage.known) return unknown;
              return (
                <span className={classes.traffic}>
                  <Spark values={r?.hours ?? []} width={52} label={t('sparkLabel', { n: r?.requests ?? 0 })} />
                  <Tooltip label={count(r?.requests ?? 0)}>
                    <span className={classes.trafficCount}>{shortCount(r?.requests ?? 0)}</span>
                  </Tooltip>
                </span>
              );
            },
          },
          {
            id: 'errors',
            header: t('errors'),
            align: 'right',
            cell: (e) => {
              const r = recent(e);
              if (!usage.known || !r?.requests) return unknown;
              const failing = stateOf(e, r) === 'error';
              if (failing && !r.errors) return <span className="bad">{t('refused', { share: percent(r.failed / r.requests) })}</span>;
              return <span className={r.errors ? (failing ? 'bad' : '') : 'dim'}>{percent(r.errors / r.requests)}</span>;
            },
          },
          { id: 'spend', header: t('spendMonth'), align: 'right', cell: (e) => (usage.known ? <Amount value={usage.spend.get(e.id) ?? 0n} /> : unknown) },
        ] satisfies Column<Endpoint>[])
      : []),
    { id: 'changed', header: t('changed'), sort: 'update_time', align: 'right', cell: (e) => <When at={e.updateTime} /> },
  ];
}
