import { Anchor } from '@mantine/core';
import { useQuery } from '@connectrpc/connect-query';
import { Link } from '@tanstack/react-router';
import { Permission, useCaller } from '@/api/caller';
import { Section } from '@/components/Page';
import { Region } from '@/components/Region';
import { When } from '@/components/When';
import { AuditService } from '@/gen/tollgate/control/v1/audit_pb';
import { type Budget, type BudgetState, Enforcement } from '@/gen/tollgate/control/v1/budget_pb';
import type { SeenRequest } from '@/gen/tollgate/control/v1/request_pb';
import { nanos, short } from '@/lib/money';
import { millis } from '@/lib/time';
import { t } from '@/text/budget';
import { scopeOf } from '../budgets/facts';
import classes from './Budget.module.css';

const actions = ['create', 'update', 'delete', 'raise', 'reset'] as const;
const shown = 10;

/** What was done to a budget, and which of its warnings came, newest first. */
export function Log({ budget: b, state }: { budget: Budget; state: BudgetState | undefined }) {
  const { may } = useCaller();
  const allowed = may(Permission.AUDIT_READ);
  const query = useQuery(AuditService.method.listAuditEntries, { filter: `kind:budget object:${b.id}`, pageSize: shown }, { enabled: allowed });
  const warnings = (state?.warnings ?? []).map((w) => ({ id: `w${w.percent}`, at: millis(w.time) ?? 0, text: t('logWarning', { percent: w.percent, spent: short(nanos(w.spent)) }), sub: '', entry: '' }));
  const list = (entries: typeof warnings) => {
    const all = [...entries, ...warnings].toSorted((x, y) => y.at - x.at).slice(0, shown);
    return all.length === 0 ? (
      <div className={classes.none}>{t('logNone')}</div>
    ) : (
      <ul className={classes.list}>
        {all.map((e) => (
          <li key={e.id} className={classes.item}>
            <span className="wrap">
              {e.entry ? <Link to="/audit/$id" params={{ id: e.entry } as never}>{e.text}</Link> : e.text}
              {e.sub ? <span className={classes.sub}> {e.sub}</span> : null}
            </span>
            <span className={classes.sub}>
              <When at={e.at} />
            </span>
          </li>
        ))}
      </ul>
    );
  };
  return (
    <Section
      title={t('log')}
      flush
      actions={
        allowed ? (
          <Anchor component={Link} to="/audit" search={{ q: `object:${b.id}` } as never} size="xs">
            {t('logAll')}
          </Anchor>
        ) : null
      }
    >
      {allowed ? (
        <Region query={query} skeleton={4}>
          {(d) =>
            list(
              d.entries.map((e) => {
                const action = actions.find((a) => a === e.action);
                return { id: e.id, at: millis(e.time) ?? 0, text: action ? t(`did_${action}`, { actor: e.actor }) : t('did_other', { actor: e.actor, action: e.action }), sub: e.summary, entry: e.id };
              }),
            )
          }
        </Region>
      ) : (
        list([])
      )}
    </Section>
  );
}

/** Who was turned away lately. */
export function Refused({ budget: b, requests }: { budget: Budget; requests: SeenRequest[] }) {
  const s = scopeOf(b);
  const search = { status: ['402'], ...(s.kind === 'team' || s.kind === 'key' || s.kind === 'endpoint' ? { [s.kind]: [s.name] } : {}), live: true };
  if (b.enforcement === Enforcement.SOFT) return null;
  return (
    <Section
      title={t('refused')}
      flush
      actions={
        <Anchor component={Link} to="/requests" search={search as never} size="xs">
          {t('refusedAll')}
        </Anchor>
      }
    >
      <div className={classes.none}>{requests.length ? t('refusedCount', { n: requests.length }) : t('refusedNone')}</div>
      {requests.length ? (
        <ul className={classes.list}>
          {requests.slice(0, 5).map((r) => (
            <li key={r.requestId} className={classes.item}>
              <span className="wrap">
                <Link to="/requests/$id" params={{ id: r.requestId } as never} className="mono">
                  {r.method} {r.path}
                </Link>
                <span className={classes.sub}> {r.key}</span>
              </span>
              <span className={classes.sub}>
                <When at={r.time} />
              </span>
            </li>
          ))}
        </ul>
      ) : null}
    </Section>
  );
}
