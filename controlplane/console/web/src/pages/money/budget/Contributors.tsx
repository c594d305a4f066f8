import { Anchor, Table } from '@mantine/core';
import { useQuery } from '@connectrpc/connect-query';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { keepPreviousData } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { Amount } from '@/components/Amount';
import { Section } from '@/components/Page';
import { Region } from '@/components/Region';
import { UsageDimension, UsageService } from '@/gen/tollgate/control/v1/usage_pb';
import { nanos, shareOf } from '@/lib/money';
import { count, percent } from '@/lib/text';
import { groupName } from '@/lib/usage';
import { t } from '@/text/budget';
import type { Scope } from '../budgets/facts';
import classes from './Budget.module.css';
import { usageFilters, usageSearch } from './scope';

type By = 'key' | 'endpoint' | 'team' | 'model';
const dimensions: Record<By, UsageDimension> = { key: UsageDimension.KEY, endpoint: UsageDimension.ENDPOINT, team: UsageDimension.TEAM, model: UsageDimension.MODEL };

/** By what the spending of a scope is best told apart. */
export function partsOf(s: Scope): [By, By] {
  switch (s.kind) {
    case 'key':
      return ['endpoint', 'model'];
    case 'endpoint':
      return ['key', 'team'];
    case 'everything':
      return ['team', 'endpoint'];
    default:
      return ['key', 'endpoint'];
  }
}

/** What made most of what a budget has spent in its period. */
export function Contributors({ scope, by, from }: { scope: Scope; by: By; from: number }) {
  const query = useQuery(
    UsageService.method.queryUsage,
    { fromTime: timestampFromMs(Math.floor(from / 3_600_000) * 3_600_000), groupBy: [dimensions[by]], topN: 6, filters: usageFilters(scope) },
    { refetchInterval: 30_000, placeholderData: keepPreviousData },
  );
  return (
    <Section
      title={t(`contributors_${by}`)}
      flush
      actions={
        <Anchor component={Link} to="/usage" search={{ from: `${new Date(from).toISOString().slice(0, 19)}Z`, to: 'now', group: by, ...usageSearch(scope) } as never} size="xs">
          {t('openUsage')}
        </Anchor>
      }
    >
      <Region query={query} skeleton={5}>
        {(d) => {
          const total = nanos(d.total?.cost);
          if (!d.rows.length || total === 0n) return <div className={classes.none}>{t('nothingSpent')}</div>;
          return (
            <Table horizontalSpacing="md" verticalSpacing={7}>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{t('name')}</Table.Th>
                  <Table.Th className="num">{t('amount')}</Table.Th>
                  <Table.Th>{t('share')}</Table.Th>
                  <Table.Th className="num">{t('requests')}</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {d.rows.map((r, i) => {
                  const share = shareOf(nanos(r.cost), total);
                  const name = r.other ? '' : groupName(r, by);
                  return (
                    <Table.Tr key={i}>
                      <Table.Td className={`wrap ${name ? '' : 'dim'}`}>{name || (r.other ? t('other') : t('none'))}</Table.Td>
                      <Table.Td className="num">
                        <Amount value={r.cost} />
                      </Table.Td>
                      <Table.Td w="30%">
                        <span className={classes.share} style={{ width: `${share * 50}%` }} aria-hidden />
                        <span className="dim">{percent(share)}</span>
                      </Table.Td>
                      <Table.Td className="num dim">{count(r.requests)}</Table.Td>
                    </Table.Tr>
                  );
                })}
              </Table.Tbody>
            </Table>
          );
        }}
      </Region>
    </Section>
  );
}
