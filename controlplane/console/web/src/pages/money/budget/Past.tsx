import { Table } from '@mantine/core';
import { createQueryOptions, useTransport } from '@connectrpc/connect-query';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { useQueries } from '@tanstack/react-query';
import { Amount } from '@/components/Amount';
import { BudgetBar } from '@/components/BudgetBar';
import { Section } from '@/components/Page';
import { Failure } from '@/components/Region';
import { type Budget, type BudgetState, Period } from '@/gen/tollgate/control/v1/budget_pb';
import { UsageService } from '@/gen/tollgate/control/v1/usage_pb';
import { nanos, shareOf } from '@/lib/money';
import { percent } from '@/lib/text';
import { millis } from '@/lib/time';
import { t } from '@/text/budget';
import { dayText, resets, resetText, scopeOf, scopeText, zoneOf } from '../budgets/facts';
import classes from './Budget.module.css';
import { periodsBefore } from './curve';
import { usageFilters } from './scope';

const shown = 6;

/** What the periods before came to. */
export function Past({ budget: b, state }: { budget: Budget; state: BudgetState }) {
  const transport = useTransport();
  const zone = zoneOf(b);
  const start = millis(state.periodStart);
  const periods = start === undefined || !resets(b) ? [] : periodsBefore(start, b.period, zone, shown);
  const filters = usageFilters(scopeOf(b));
  // Each is added up by the server; what is over hardly changes.
  const answers = useQueries({
    queries: periods.map((p) => ({ ...createQueryOptions(UsageService.method.queryUsage, { fromTime: timestampFromMs(p.from), toTime: timestampFromMs(p.to), filters }, { transport }), staleTime: 5 * 60_000 })),
  });
  const amount = nanos(b.amount);
  const created = millis(b.createTime) ?? 0;
  const told = (p: { from: number; to: number }) =>
    b.period === Period.HOUR ? resetText(p.from, zone) : b.period === Period.DAY ? dayText(p.from, zone) : t('period', { from: dayText(p.from, zone), to: dayText(p.to - 1, zone) });
  const failed = answers.find((a) => a.error);
  // Before there was a budget and before anything was spent there is nothing to tell.
  const known = answers.findLastIndex((a, i) => !a.data || nanos(a.data.total?.cost) > 0n || periods[i]!.to > created) + 1;
  return (
    <Section title={t('past')} flush>
      {known === 0 ? (
        <div className={classes.none}>{t(periods.length ? 'pastFirst' : 'pastNone')}</div>
      ) : failed ? (
        <Failure error={failed.error} retry={() => answers.forEach((a) => void a.refetch())} />
      ) : (
        <>
          <Table horizontalSpacing="md" verticalSpacing={7}>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t('when')}</Table.Th>
                <Table.Th className="num">{t('amount')}</Table.Th>
                <Table.Th w="40%">{t('ofAmount')}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {periods.slice(0, known).map((p, i) => {
                const spent = answers[i]?.data ? nanos(answers[i].data.total?.cost) : undefined;
                return (
                  <Table.Tr key={p.from}>
                    <Table.Td>
                      {told(p)} {p.to <= created ? <span className="dim">{t('beforeBudget')}</span> : null}
                    </Table.Td>
                    <Table.Td className="num">
                      <Amount value={spent} />
                    </Table.Td>
                    <Table.Td>
                      {spent === undefined ? null : (
                        <div className={classes.pastBar}>
                          <BudgetBar thin spent={spent} held={0n} limit={amount} />
                          <span className="dim num">{percent(shareOf(spent, amount))}</span>
                        </div>
                      )}
                    </Table.Td>
                  </Table.Tr>
                );
              })}
            </Table.Tbody>
          </Table>
          <div className={classes.foot}>{t('pastHint', { scope: scopeText(scopeOf(b)) })}</div>
        </>
      )}
    </Section>
  );
}
