import { useQuery } from '@connectrpc/connect-query';
import { Link } from '@tanstack/react-router';
import { Permission, useCaller } from '@/api/caller';
import { fleet } from '@/api/live';
import { Section } from '@/components/Page';
import type { Tone } from '@/components/Status';
import { BudgetService } from '@/gen/tollgate/control/v1/budget_pb';
import type { Endpoint } from '@/gen/tollgate/control/v1/endpoint_pb';
import { short } from '@/lib/money';
import { percent } from '@/lib/text';
import { t } from '@/text/endpoints';
import classes from '../EndpointPage.module.css';
import { AsOf } from '@/components/When';
import { middle, stateOf } from '../list/facts';
import type { RecentUsage } from '../list/useRecent';

interface Hop {
  id: string;
  name: string;
  text: string;
  more?: string;
  tone?: Tone;
  /** Requests that the hop is about; the page of requests shows them. */
  search?: Record<string, string>;
  to?: string;
}

/** What a request passes, with what is known of the last day at each place. Each leads to the requests it is about. */
export function Flow({ endpoint, usage }: { endpoint: Endpoint; usage: RecentUsage }) {
  const { may } = useCaller();
  const budgets = useQuery(BudgetService.method.listBudgets, { filter: `endpoint:"${endpoint.name}"`, pageSize: 1000 }, { enabled: may(Permission.MONEY_READ) });
  const nodes = fleet.use()?.nodes;
  const targets = nodes?.flatMap((n) => n.targets.filter((x) => x.endpoint === endpoint.name)) ?? [];
  const open = new Set(nodes?.filter((n) => n.targets.some((x) => x.endpoint === endpoint.name && x.state !== 'ok')).map((n) => n.id));
  const r = usage.recent.get(endpoint.id);
  const requests = r?.requests ?? 0;
  const errors = r?.errors ?? 0;
  const unpriced = r?.unpriced ?? 0;
  const refused = (r?.failed ?? 0) - errors;
  const state = stateOf(endpoint, r);
  const secrets = new Set([...endpoint.headers, ...endpoint.credentials.flatMap((c) => c.headers)].flatMap((h) => h.value.match(/\$\{secret:[^}]+\}/g) ?? []));
  const mine = { endpoint: endpoint.name, from: '-24h' };
  const counted = usage.known ? t('flowRequests', { n: requests }) : '';
  const hops: Hop[] = [
    { id: 'client', name: t('flowClient'), text: counted, search: mine },
    { id: 'key', name: t('flowKey'), text: endpoint.access?.kind.case === 'public' ? t('flowNoKey') : t('flowAnyKey'), search: { ...mine, status: '401,403' } },
    { id: 'budget', name: t('flowBudget'), text: budgets.data ? t('flowBudgets', { n: budgets.data.budgets.length }) : '', search: { ...mine, status: '402' } },
    {
      id: 'headers',
      name: t('flowHeaders'),
      text: t('flowHeadersSet', { n: endpoint.headers.length }),
      more: secrets.size ? t('flowSecrets', { n: secrets.size }) : '',
      to: 'configure',
    },
    {
      id: 'breaker',
      name: t('flowBreaker'),
      text: open.size ? t('flowBreakerOpen', { n: open.size }) : targets.length ? t('flowBreakerOk') : t('flowBreakerUnknown'),
      ...(open.size ? { tone: 'bad' as const } : {}),
      search: { ...mine, status: '503' },
    },
    {
      id: 'target',
      name: t('flowTarget'),
      text: endpoint.models ? t('modelsTarget') : middle(hostOf(endpoint.targets[0]?.url ?? ''), 26),
      more: !usage.known || !requests ? '' : errors ? t('flowErrors', { share: percent(errors / requests) }) : refused ? t('flowRefused', { share: percent(refused / requests) }) : t('flowNoErrors'),
      ...(state === 'error' ? { tone: 'bad' as const } : errors || refused ? { tone: 'warn' as const } : {}),
      search: { ...mine, status: errors ? '5xx,0xx' : refused ? '4xx' : '' },
    },
    {
      id: 'price',
      name: t('flowPrice'),
      text: unpriced ? t('flowUnpriced', { n: unpriced }) : usage.known && requests ? t('flowPriced') : '',
      ...(unpriced ? { tone: 'warn' as const } : {}),
      search: { ...mine, unpriced: '1' },
    },
    { id: 'ledger', name: t('flowLedger'), text: counted, more: usage.known ? t('flowSpent', { amount: short(r?.cost ?? 0n) }) : '', to: 'usage' },
  ];
  return (
    <Section title={t('flow')} actions={<AsOf at={usage.asOf} />}>
      <ol className={classes.flow} tabIndex={0} aria-label={t('flow')}>
        {hops.map((h) => (
          <li key={h.id} className={classes.hop}>
            <Link
              className={classes.hopBody}
              data-tone={h.tone}
              {...(h.to ? { to: '/endpoints/$name/$tab', params: { name: endpoint.name, tab: h.to } } : { to: '/requests', search: h.search as never })}
              aria-label={t('flowHop', { name: h.name, text: h.text, more: h.more ?? '' })}
            >
              <span className={classes.hopName}>{h.name}</span>
              <span className={h.more ? 'clip' : h.tone === 'bad' ? 'bad' : h.tone === 'warn' ? 'warn' : 'dim'}>{h.text}</span>
              {h.more ? <span className={h.tone === 'bad' ? 'bad' : h.tone === 'warn' ? 'warn' : 'dim'}>{h.more}</span> : null}
            </Link>
          </li>
        ))}
      </ol>
    </Section>
  );
}

const hostOf = (url: string) => url.replace(/^https?:\/\//, '').replace(/\/.*$/, '');

