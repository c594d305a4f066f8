import { Anchor, SegmentedControl, Table } from '@mantine/core';
import { useQuery } from '@connectrpc/connect-query';
import { keepPreviousData } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { Amount } from '@/components/Amount';
import { Section } from '@/components/Page';
import { RangePicker } from '@/components/RangePicker';
import { Region } from '@/components/Region';
import { AsOf } from '@/components/When';
import type { Endpoint } from '@/gen/tollgate/control/v1/endpoint_pb';
import { UsageDimension, type UsageRow, UsageService } from '@/gen/tollgate/control/v1/usage_pb';
import { count, percent } from '@/lib/text';
import { t } from '@/text/endpoints';
import classes from '../EndpointPage.module.css';
import { Charts } from './Charts';
import { ask } from './series';
import { useRange } from './useRange';

const route = getRouteApi('/endpoints/$name/$tab');

const groups = {
  key: { by: UsageDimension.KEY, name: (r: UsageRow) => r.keyName || r.keyId },
  team: { by: UsageDimension.TEAM, name: (r: UsageRow) => r.team },
  customer: { by: UsageDimension.CUSTOMER, name: (r: UsageRow) => r.customer },
  tag: { by: UsageDimension.TAG, name: (r: UsageRow) => r.tag },
  model: { by: UsageDimension.MODEL, name: (r: UsageRow) => r.model },
  day: { by: UsageDimension.DAY, name: (r: UsageRow) => r.day },
} as const;
type Group = keyof typeof groups;

/** What was spent on one endpoint, and by whom. */
export default function Usage({ endpoint }: { endpoint: Endpoint }) {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { range, resolved, set, timeZone } = useRange();
  const group: Group = search.q && search.q in groups ? (search.q as Group) : 'key';
  const query = useQuery(UsageService.method.queryUsage, ask(endpoint.id, resolved, timeZone, [groups[group].by], group === 'day' ? {} : { topN: 50 }), { placeholderData: keepPreviousData });
  const sorted = (rows: UsageRow[]) => (group === 'day' ? rows.toSorted((a, b) => b.day.localeCompare(a.day)) : rows);
  return (
    <>
      <div className={classes.toolbar}>
        <RangePicker value={range} onChange={set} />
        <Anchor component={Link} to="/usage" search={{ endpoint: endpoint.name, from: range.from, to: range.to } as never} size="sm" className={classes.asOf}>
          {t('openUsage')}
        </Anchor>
      </div>
      <Charts endpoint={endpoint} range={resolved} timeZone={timeZone} onZoom={(from, to) => set({ from: `${new Date(from).toISOString().slice(0, 19)}Z`, to: `${new Date(to).toISOString().slice(0, 19)}Z` })} />
      <Section
        title={t('usageBy')}
        flush
        actions={
          <>
            <SegmentedControl
              aria-label={t('usageBy')}
              value={group}
              onChange={(q) => void navigate({ search: (s) => ({ ...s, q: q === 'key' ? undefined : q }), replace: true })}
              data={(Object.keys(groups) as Group[]).map((g) => ({ value: g, label: t(`by_${g}`) }))}
            />
            <AsOf at={query.data?.asOf} />
          </>
        }
      >
        <Region query={query}>
          {(d) =>
            d.rows.length === 0 ? (
              <div className={`dim ${classes.none}`}>{t('noRequests')}</div>
            ) : (
              <Table.ScrollContainer minWidth={520}>
                <Table className={classes.rows}>
                  <Table.Thead>
                    <Table.Tr>
                      <Table.Th>{t(`by_${group}`)}</Table.Th>
                      <Table.Th className="num">{t('requests')}</Table.Th>
                      <Table.Th className="num">{t('errors')}</Table.Th>
                      <Table.Th className="num">{t('unpriced')}</Table.Th>
                      <Table.Th className="num">{t('units')}</Table.Th>
                      <Table.Th className="num">{t('cost')}</Table.Th>
                    </Table.Tr>
                  </Table.Thead>
                  <Table.Tbody>
                    {sorted(d.rows).map((r, i) => (
                      <Figures key={i} row={r} name={r.other ? t('others') : groups[group].name(r) || t('none')} dim={r.other || !groups[group].name(r)} />
                    ))}
                  </Table.Tbody>
                  {d.total ? (
                    <Table.Tfoot>
                      <Figures row={d.total} name={t('all')} dim={false} />
                    </Table.Tfoot>
                  ) : null}
                </Table>
              </Table.ScrollContainer>
            )
          }
        </Region>
      </Section>
    </>
  );
}

function Figures({ row, name, dim }: { row: UsageRow; name: string; dim: boolean }) {
  return (
    <Table.Tr>
      <Table.Td className={dim ? 'dim' : undefined}>{name}</Table.Td>
      <Table.Td className="num">{count(row.requests)}</Table.Td>
      <Table.Td className={`num ${row.errors ? '' : 'dim'}`}>{row.requests ? percent(Number(row.errors) / Number(row.requests)) : '–'}</Table.Td>
      <Table.Td className={`num ${row.unpriced ? 'warn' : 'dim'}`}>{count(row.unpriced)}</Table.Td>
      <Table.Td className="num">{count(row.units)}</Table.Td>
      <Table.Td className="num">
        <Amount value={row.cost} />
      </Table.Td>
    </Table.Tr>
  );
}
