import { useQuery } from '@connectrpc/connect-query';
import { Anchor } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { Permission, useCaller } from '@/api/caller';
import { Amount } from '@/components/Amount';
import { BudgetService } from '@/gen/tollgate/control/v1/budget_pb';
import type { SeenRequest } from '@/gen/tollgate/control/v1/request_pb';
import type { RequestRecord } from '@/gen/tollgate/control/v1/usage_pb';
import { nanos } from '@/lib/money';
import { millis } from '@/lib/time';
import { t } from '@/text/requests';
import classes from './Detail.module.css';

/** What was counted and charged, and which budgets it went to. */
export function Charges({ records, seen, now }: { records: RequestRecord[]; seen: SeenRequest | undefined; now: number }) {
  const { may } = useCaller();
  const drawn = new Map<bigint, bigint>();
  for (const r of records) for (const d of r.draws) drawn.set(d.accountId, (drawn.get(d.accountId) ?? 0n) + nanos(d.cost));
  const budgets = useQuery(BudgetService.method.listBudgets, { pageSize: 1000, withStates: true }, { enabled: drawn.size > 0 && may(Permission.MONEY_READ), retry: false });
  if (!records.length) {
    const ended = millis(seen?.time) ?? 0;
    const charged = seen?.cost && nanos(seen.cost) > 0n;
    return <span className="dim">{charged ? (now - ended < 10_000 ? t('expectedSoon') : t('onlySeen')) : t('nothingCharged')}</span>;
  }
  const counted = records.flatMap((r) => Object.entries(r.counts));
  const reserved = records.reduce((most, r) => (nanos(r.reserved) > most ? nanos(r.reserved) : most), 0n);
  const version = records.at(-1)!.priceVersion;
  return (
    <ul className={classes.lines}>
      {counted.map(([name, n], i) => (
        <li key={i}>
          <span className="mono">{name}</span>
          <span className="num">{n}</span>
        </li>
      ))}
      {records.map((r) => (
        <li key={r.position}>
          <span className="dim">
            {r.corrects ? t('correctionOf') : t('attempt', { n: r.attempt })}
            {r.meter ? ` · ${t('meter')} ${r.meter}` : ''}
            {version && !r.corrects ? ` · ${t('priceVersion', { n: String(r.priceVersion) })}` : ''}
          </span>
          <Amount value={r.cost} />
        </li>
      ))}
      {reserved > 0n ? <li className="dim"><span>{t.rich('held', { amount: <Amount value={reserved} /> })}</span></li> : null}
      {[...drawn].map(([account, cost]) => {
        const i = budgets.data?.budgets.findIndex((b) => b.accountId === account) ?? -1;
        const budget = budgets.data?.budgets[i];
        const state = budgets.data?.states[i];
        const name = budget ? <Anchor size="sm" component={Link} to={`/budgets/${budget.id}`}>{budget.name}</Anchor> : <span className="dim">{t('accountUnknown')}</span>;
        return (
          <li key={String(account)}>
            <span>{t.rich('budgetCharged', { name, amount: <Amount value={cost} /> })}</span>
            {state ? <span className="dim">{t.rich('budgetNow', { left: <Amount value={state.remaining} />, limit: <Amount value={state.limit} /> })}</span> : null}
          </li>
        );
      })}
    </ul>
  );
}
