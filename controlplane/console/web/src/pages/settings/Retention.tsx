import type { Duration } from '@bufbuild/protobuf/wkt';
import { Table } from '@mantine/core';
import { useQuery } from '@connectrpc/connect-query';
import { Section } from '@/components/Page';
import { Region } from '@/components/Region';
import { type GetRetentionResponse, SystemService } from '@/gen/tollgate/control/v1/system_pb';
import { t } from '@/text/general';
import classes from './Settings.module.css';

type Kept = 'requests' | 'hours' | 'days' | 'leases' | 'anomalies' | 'incarnations';
const settings: Kept[] = ['requests', 'hours', 'days', 'leases', 'anomalies', 'incarnations'];
const deliveriesDays = 30;

/** What is stored of traffic and of people, and what is not. */
export default function Retention() {
  const query = useQuery(SystemService.method.getRetention, {});
  return (
    <>
      <Section title={t('retention')} flush>
        <p className={classes.text} style={{ padding: '0 16px' }}>
          {t('retentionText')} {t('records')}
        </p>
        <Region query={query} skeleton={8}>
          {(d) => <Table.ScrollContainer minWidth={560} scrollAreaProps={{ tabIndex: 0, role: 'region', 'aria-label': t('retention') } as never}>
            <Table verticalSpacing={10} horizontalSpacing="md" fz="sm">
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{t('holds')}</Table.Th>
                  <Table.Th>{t('keptFor')}</Table.Th>
                  <Table.Th>{t('setting')}</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {settings.map((name) => (
                  <Line key={name} what={t(`kept_${name}`)} time={howLong(d, name)} setting={name === 'requests' && !d.keepRecords ? 'keep_records' : `retention.${name}`} />
                ))}
                <Line what={t('kept_audit')} time={t('forever')} />
                <Line what={t('kept_deliveries')} time={t('daysOf', { n: deliveriesDays })} />
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>}
        </Region>
      </Section>
      <Section title={t('privacy')}>
        <ul className={classes.roles}>
          <li>{t('privacy_bodies')}</li>
          <li>{t('privacy_secrets')}</li>
          <li>{t('privacy_keys')}</li>
          <li>{t('privacy_telemetry')}</li>
        </ul>
      </Section>
    </>
  );
}

function Line({ what, time, setting }: { what: string; time: string; setting?: string }) {
  return (
    <Table.Tr>
      <Table.Td>{what}</Table.Td>
      <Table.Td style={{ whiteSpace: 'nowrap' }}>{time}</Table.Td>
      <Table.Td className={setting ? 'mono' : 'dim'}>{setting || t('fixed')}</Table.Td>
    </Table.Tr>
  );
}

const hour = 3600;

function howLong(d: GetRetentionResponse, name: Kept): string {
  if (name === 'requests' && !d.keepRecords) return t('notKept');
  const seconds = secondsOf(d[name]);
  if (!seconds) return t('forever');
  return seconds % (24 * hour) ? t('hoursOf', { n: Math.round(seconds / hour) }) : t('daysOf', { n: seconds / (24 * hour) });
}

const secondsOf = (d: Duration | undefined) => Number(d?.seconds ?? 0n);
