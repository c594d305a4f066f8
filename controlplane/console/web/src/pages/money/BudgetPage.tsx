import { ActionIcon, Button, Menu, Tooltip } from '@mantine/core';
import { IconDots, IconPencil, IconRestore, IconTrash } from '@tabler/icons-react';
import { useQuery } from '@connectrpc/connect-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { type ReactNode, useState } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { problemOf } from '@/api/errors';
import { connection } from '@/api/live';
import { useNow } from '@/app/clock';
import { zone } from '@/app/preferences';
import { Amount } from '@/components/Amount';
import { BudgetBar } from '@/components/BudgetBar';
import { Confirm } from '@/components/Confirm';
import { NotFound } from '@/components/NotFound';
import { Page } from '@/components/Page';
import { Region } from '@/components/Region';
import { Chip, Status } from '@/components/Status';
import { AsOf } from '@/components/When';
import { type Budget, BudgetService, type BudgetState } from '@/gen/tollgate/control/v1/budget_pb';
import { EndpointService } from '@/gen/tollgate/control/v1/endpoint_pb';
import { exact, nanos, shareOf, short } from '@/lib/money';
import { percent } from '@/lib/text';
import { millis } from '@/lib/time';
import { t } from '@/text/budget';
import { t as words } from '@/text/money';
import { quote } from '../endpoints/list/facts';
import classes from './budget/Budget.module.css';
import { Contributors, partsOf } from './budget/Contributors';
import { EditBudget } from './budget/EditBudget';
import { Log, Refused } from './budget/Log';
import { Past } from './budget/Past';
import { Remaining } from './budget/Remaining';
import { remove, reset } from './budgets/actions';
import { ruleText } from './budgets/BudgetRow';
import { about, elapsed, limitOf, resets, resetText, scopeLink, scopeOf, scopeText, soft, untilText, zoneOf } from './budgets/facts';
import { fateOf } from './budgets/fate';
import { Raise } from './budgets/Raise';
import { useRefused } from './budgets/useRefused';

const route = getRouteApi('/budgets/$id');

/** One budget: what is left of it, where that goes, and what happened to it. */
export function BudgetPage() {
  const { id } = route.useParams();
  const query = useQuery(BudgetService.method.getBudget, { budget: id });
  const budget = query.data?.budget;
  if (query.error && problemOf(query.error).code === 'not_found') return <NotFound what={t('notFound', { name: id })} audit={`object:${id}`} />;
  if (!budget) {
    return (
      <Page title={id} parent={{ to: '/budgets', label: t('budgets') }}>
        <Region query={query}>{() => null}</Region>
      </Page>
    );
  }
  return <Detail key={budget.id} budget={budget} />;
}

function Detail({ budget: b }: { budget: Budget }) {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { may } = useCaller();
  const { online } = connection.use();
  const z = zone.use();
  const minute = Math.floor(useNow() / 60_000) * 60_000;
  const [asking, setAsking] = useState<'reset' | 'delete'>();
  const query = useQuery(BudgetService.method.getBudgetState, { budget: b.id }, { refetchInterval: 10_000 });
  const state = query.data?.state;
  const scope = scopeOf(b);
  const requests = useRefused(!soft(b)).of(b);
  const endpoint = useQuery(EndpointService.method.getEndpoint, { endpoint: scope.name }, { enabled: scope.kind === 'endpoint' && search.sel === 'edit', retry: false });
  const kind = endpoint.data?.endpoint?.price?.kind;
  const write = may(Permission.MONEY_WRITE);
  const sel = (s: string | undefined) => void navigate({ search: (x) => ({ ...x, sel: s }), replace: true });
  const fate = fateOf(state, { now: minute, zone: z, soft: soft(b), end: untilText(b, state), refused: requests.length });
  const title = scopeText(scope);
  const link = scopeLink(scope);
  const spent = nanos(state?.spent);
  return (
    <Page
      title={`${title} · ${b.name}`}
      heading={link ? <Link to={link as never} className={classes.heading}>{title}</Link> : title}
      parent={{ to: '/budgets', label: t('budgets') }}
      beside={
        <>
          <span className="dim">{b.name}</span>
          <Status tone={fate.tone}>{fate.text}</Status>
          {b.managedBy ? <Chip>{t('managed', { file: b.managedBy })}</Chip> : null}
        </>
      }
      intro={[ruleText(b, state), b.warnPercents.length ? t('warnsAt', { shares: b.warnPercents.map((n) => `${n} %`).join(', ') }) : t('noWarnings')].join(' · ')}
      copy={{ cli: `tollgate budget get ${quote(b.name)}`, call: { method: BudgetService.method.getBudgetState, input: { budget: b.id } } }}
      actions={
        write ? (
          <>
            <Raise budget={b} state={state} primary startOpen={search.sel === 'raise'} onClose={() => search.sel === 'raise' && sel(undefined)} />
            <Tooltip label={words('offline')} disabled={online}>
              <Button variant="default" disabled={!online} leftSection={<IconPencil size={14} aria-hidden />} onClick={() => sel('edit')}>
                {t('edit')}
              </Button>
            </Tooltip>
            <Menu>
              <Menu.Target>
                <ActionIcon variant="default" aria-label={t('more')}>
                  <IconDots size={16} aria-hidden />
                </ActionIcon>
              </Menu.Target>
              <Menu.Dropdown>
                <Menu.Item disabled={!online} leftSection={<IconRestore size={16} aria-hidden />} onClick={() => setAsking('reset')}>
                  {words('resetNow')}
                </Menu.Item>
                <Menu.Item disabled={!online} color="red.9" leftSection={<IconTrash size={16} aria-hidden />} onClick={() => setAsking('delete')}>
                  {t('delete')}
                </Menu.Item>
              </Menu.Dropdown>
            </Menu>
          </>
        ) : null
      }
    >
      <Region query={query} skeleton={4}>{() => (state ? <Tiles budget={b} state={state} fate={fate.tone} now={minute} /> : null)}</Region>
      {state ? (
        <>
          <Remaining budget={b} state={state} fate={fate.text} />
          <Parts budget={b} state={state} />
          <div className={classes.two}>
            <Past budget={b} state={state} />
            <div className={classes.column}>
              <Refused budget={b} requests={requests} />
              <Log budget={b} state={state} />
            </div>
          </div>
        </>
      ) : null}
      {search.sel === 'edit' && write ? <EditBudget budget={b} state={state} price={kind?.case === 'fixed' ? nanos(kind.value.perRequest) : undefined} onClose={() => sel(undefined)} /> : null}
      {asking === 'reset' ? (
        <Confirm title={words('resetTitle', { name: b.name })} action={words('resetNow')} run={() => reset(b, spent)} onClose={() => setAsking(undefined)}>
          {words('resetWhy', { spent: exact(spent), limit: exact(limitOf(b, state)) })}
        </Confirm>
      ) : null}
      {asking === 'delete' ? (
        <Confirm
          title={words('deleteTitle', { name: b.name })}
          action={words('deleteAction')}
          typed={spent > 0n ? b.name : undefined}
          run={async () => {
            await navigate({ to: '/budgets' });
            await remove(b);
          }}
          onClose={() => setAsking(undefined)}
        >
          {words('deleteWhy', { scope: title, spent: exact(spent) })}
        </Confirm>
      ) : null}
    </Page>
  );
}

function Parts({ budget: b, state }: { budget: Budget; state: BudgetState }) {
  const scope = scopeOf(b);
  const from = millis(state.periodStart) ?? millis(b.createTime) ?? 0;
  return (
    <div className={classes.two}>
      {partsOf(scope).map((by) => (
        <Contributors key={by} scope={scope} by={by} from={from} />
      ))}
    </div>
  );
}

function Tiles({ budget: b, state, fate, now }: { budget: Budget; state: BudgetState; fate: string; now: number }) {
  const limit = limitOf(b, state);
  const spent = nanos(state.spent);
  const held = nanos(state.held);
  const left = nanos(state.remaining);
  const overrun = nanos(state.overrun);
  const pace = state.pace ? nanos(state.pace) : undefined;
  const end = resets(b) ? untilText(b, state) : resetText(millis(b.raise?.until) ?? 0, zoneOf(b));
  return (
    <div className="card">
      <div className={classes.tiles}>
        <Tile name={t('left')} asOf={<AsOf at={state.asOf} />}>
          <div className={classes.big} data-tone={fate}>
            <Amount value={left} />
          </div>
          <span className={classes.sub}>
            {t('ofLimit', { limit: exact(limit) })}
            {b.raise ? ` · ${t('withRaise', { amount: exact(nanos(b.amount)), raise: exact(nanos(b.raise.by)), end })}` : ''}
          </span>
        </Tile>
        <Tile name={t('spent')}>
          <div className={classes.big}>
            <Amount value={spent} />
          </div>
          <span className={classes.sub}>{overrun > 0n ? t('overrun', { amount: short(overrun) }) : t('shareUsed', { share: percent(shareOf(spent, limit)) })}</span>
        </Tile>
        <Tile name={<Tooltip label={words('heldHint')} multiline maw={280}><span>{t('heldNow')}</span></Tooltip>}>
          <div className={classes.big}>
            <Amount value={held} />
          </div>
        </Tile>
        <Tile name={t('pace')}>
          {pace === undefined ? (
            <div className="dim">{t('noPace')}</div>
          ) : (
            <>
              <div className={classes.big}>{t('perHour', { amount: short(pace) })}</div>
              <span className={classes.sub}>{t('perDay', { amount: about(pace * 24n) })}</span>
            </>
          )}
        </Tile>
      </div>
      <div className={classes.barRow}>
        <BudgetBar spent={spent} held={held} limit={limit} elapsed={elapsed(b, state, now)} label={words('barLabel', { share: percent(shareOf(spent, limit)), left: short(left > 0n ? left : 0n) })} />
      </div>
    </div>
  );
}

function Tile({ name, asOf, children }: { name: ReactNode; asOf?: ReactNode; children: ReactNode }) {
  return (
    <div className={classes.tile}>
      <div className={classes.tileName} style={{ display: 'flex', justifyContent: 'space-between', gap: 8 }}>
        <span>{name}</span>
        {asOf}
      </div>
      {children}
    </div>
  );
}
