import { Anchor, Table } from '@mantine/core';
import { useQuery } from '@connectrpc/connect-query';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { keepPreviousData } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { Amount } from '@/components/Amount';
import { Section } from '@/components/Page';
import { Region } from '@/components/Region';
import { When } from '@/components/When';
import type { Endpoint } from '@/gen/tollgate/control/v1/endpoint_pb';
import { type RequestRecord, UsageDimension, UsageService } from '@/gen/tollgate/control/v1/usage_pb';
import { nanos, shareOf } from '@/lib/money';
import { count, percent } from '@/lib/text';
import { millis } from '@/lib/time';
import { t } from '@/text/endpoints';
import classes from '../EndpointPage.module.css';
import { ask } from './series';

interface Props {
  endpoint: Endpoint;
  range: { from: number; to: number };
}

/** Who calls it, by what they spent. */
export function TopKeys({ endpoint, range, timeZone }: Props & { timeZone: string }) {
  const query = useQuery(UsageService.method.queryUsage, ask(endpoint.id, range, timeZone, [UsageDimension.KEY], { topN: 8 }), { placeholderData: keepPreviousData });
  return (
    <Section title={t('topKeys')} flush>
      <Region query={query}>
        {(d) => {
          if (!d.rows.length) return <div className={`dim ${classes.none}`}>{t('noRequests')}</div>;
          const all = nanos(d.total?.cost);
          return (
            <Table className={classes.rows}>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{t('key')}</Table.Th>
                  <Table.Th className="num">{t('requests')}</Table.Th>
                  <Table.Th className="num">{t('errors')}</Table.Th>
                  <Table.Th className="num">{t('cost')}</Table.Th>
                  <Table.Th className="num">{t('share')}</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {d.rows.map((r) => (
                  <Table.Tr key={r.keyId || (r.other ? 'other' : 'none')}>
                    <Table.Td>
                      {r.other ? (
                        <span className="dim">{t('others')}</span>
                      ) : r.keyId ? (
                        <Anchor component={Link} to="/keys/$id" params={{ id: r.keyId } as never} inherit>
                          {r.keyName || r.keyId}
                        </Anchor>
                      ) : (
                        <span className="dim">{t('noKey')}</span>
                      )}
                    </Table.Td>
                    <Table.Td className="num">{count(r.requests)}</Table.Td>
                    <Table.Td className={`num ${r.errors ? '' : 'dim'}`}>{r.requests ? percent(Number(r.errors) / Number(r.requests)) : '–'}</Table.Td>
                    <Table.Td className="num">
                      <Amount value={r.cost} />
                    </Table.Td>
                    <Table.Td className="num">{all > 0n ? percent(shareOf(nanos(r.cost), all)) : '–'}</Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          );
        }}
      </Region>
    </Section>
  );
}

const named = ['target_error', 'unreachable', 'caller_gone', 'interrupted', 'abandoned', 'refused', 'cut', 'ok'] as const;

/** What went wrong, as people are told it. */
export function outcomeText(outcome: string, status: number): string {
  const known = named.find((n) => n === outcome);
  if (!known) return outcome;
  return known === 'target_error' || known === 'ok' ? t(`outcome_${known}`, { status: String(status) }) : t(`outcome_${known}`);
}

interface Group {
  id: string;
  text: string;
  n: number;
  last: RequestRecord;
}

/** Records of errors, the same ones together, newest first. */
export function grouped(records: RequestRecord[]): Group[] {
  const out = new Map<string, Group>();
  for (const r of records) {
    if (r.corrects) continue;
    const id = `${r.outcome} ${r.outcome === 'target_error' ? r.status : ''}`;
    const g = out.get(id);
    if (g) g.n++;
    else out.set(id, { id, text: outcomeText(r.outcome, r.status), n: 1, last: r });
  }
  return [...out.values()];
}

/** The errors of late, by what they were. */
export function Errors({ endpoint, range }: Props) {
  const query = useQuery(
    UsageService.method.listRequests,
    {
      filter: { fromTime: timestampFromMs(range.from), toTime: timestampFromMs(range.to), filters: [{ of: UsageDimension.ENDPOINT, values: [endpoint.id] }, { of: UsageDimension.STATUS_CLASS, values: ['2xx', '3xx'], not: true }] },
      pageSize: 200,
    },
    { placeholderData: keepPreviousData },
  );
  return (
    <Section
      title={t('recentErrors')}
      flush
      actions={
        <Anchor component={Link} to="/requests" search={{ endpoint: endpoint.name, status: '4xx,5xx,0xx' } as never} size="sm">
          {t('seeRequests')}
        </Anchor>
      }
    >
      <Region query={query}>
        {(d) => {
          const groups = grouped(d.requests);
          if (!groups.length) return <div className={`dim ${classes.none}`}>{t('noErrors')}</div>;
          return (
            <Table className={classes.rows}>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{t('errorsBy')}</Table.Th>
                  <Table.Th className="num">{t('countOf')}</Table.Th>
                  <Table.Th className="num">{t('last')}</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {groups.map((g) => (
                  <Table.Tr key={g.id}>
                    <Table.Td>
                      <Anchor component={Link} to="/requests/$id" params={{ id: g.last.requestId } as never} inherit>
                        {g.text}
                      </Anchor>
                    </Table.Td>
                    <Table.Td className="num">{d.nextPageToken ? `${count(g.n)}+` : count(g.n)}</Table.Td>
                    <Table.Td className="num">
                      <When at={millis(g.last.time)} />
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          );
        }}
      </Region>
    </Section>
  );
}
