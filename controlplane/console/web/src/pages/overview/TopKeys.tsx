import { Anchor, Table } from '@mantine/core';
import { useQuery } from '@connectrpc/connect-query';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Link } from '@tanstack/react-router';
import { useHour } from '@/app/clock';
import { Amount } from '@/components/Amount';
import { Section } from '@/components/Page';
import { Region } from '@/components/Region';
import { UsageDimension, UsageService } from '@/gen/tollgate/control/v1/usage_pb';
import { nanos, shareOf } from '@/lib/money';
import { resolve, type Range } from '@/lib/range';
import { percent } from '@/lib/text';
import { t } from '@/text/overview';
import classes from './OverviewPage.module.css';

/** The keys that cost most. */
export function TopKeys({ range }: { range: Range }) {
  const { from, to } = resolve(range, useHour() + 3_600_000);
  const usage = useQuery(UsageService.method.queryUsage, { fromTime: timestampFromMs(from), toTime: timestampFromMs(to), groupBy: [UsageDimension.KEY], topN: 6 }, { refetchInterval: 30_000 });
  return (
    <Section
      title={t('topKeys')}
      flush
      actions={
        <Anchor component={Link} to="/usage" search={{ ...range, group: 'key' } as never} size="xs">
          {t('allUsage')}
        </Anchor>
      }
    >
      <Region query={usage} skeleton={5}>
        {(data) => {
          const total = nanos(data.total?.cost);
          if (!data.rows.length) return <div className={classes.rest}>{t('spendEmpty')}</div>;
          return (
            <Table horizontalSpacing="md" verticalSpacing={7}>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{t('key')}</Table.Th>
                  <Table.Th className="num">{t('amount')}</Table.Th>
                  <Table.Th>{t('share')}</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {data.rows.map((r) => {
                  const share = shareOf(nanos(r.cost), total);
                  return (
                    <Table.Tr key={r.keyId || 'other'}>
                      <Table.Td>
                        {r.other ? (
                          <span className="dim">{t('other')}</span>
                        ) : (
                          <Anchor component={Link} to="/keys/$id" params={{ id: r.keyId } as never} size="sm">
                            {r.keyName || r.keyId}
                          </Anchor>
                        )}
                      </Table.Td>
                      <Table.Td className="num">
                        <Amount value={r.cost} />
                      </Table.Td>
                      <Table.Td w="38%">
                        <span className={classes.share} style={{ width: `${share * 60}%` }} aria-hidden />
                        <span className="dim">{percent(share)}</span>
                      </Table.Td>
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
