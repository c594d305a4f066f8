import { Table } from '@mantine/core';
import { Section } from '@/components/Page';
import { t } from '@/text/general';
import classes from './Settings.module.css';

// As docs/reference/settings.md has them. What a deployment has set is known by its ledger alone.
const rows = [
  { what: 'kept_requests', setting: 'retention.requests', days: 90 },
  { what: 'kept_hours', setting: 'retention.hours', days: 400 },
  { what: 'kept_days', setting: 'retention.days', days: 0 },
  { what: 'kept_leases', setting: 'retention.leases', days: 35 },
  { what: 'kept_anomalies', setting: 'retention.anomalies', days: 365 },
  { what: 'kept_audit', setting: '', days: 0 },
  { what: 'kept_deliveries', setting: '', days: 30 },
] as const;

/** What is stored of traffic and of people, and what is not. */
export default function Retention() {
  return (
    <>
      <Section title={t('retention')} flush>
        <p className={classes.text} style={{ padding: '0 16px' }}>
          {t('retentionText')} {t('records')}
        </p>
        <Table.ScrollContainer minWidth={560} scrollAreaProps={{ tabIndex: 0, role: 'region', 'aria-label': t('retention') } as never}>
          <Table verticalSpacing={10} horizontalSpacing="md" fz="sm">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t('holds')}</Table.Th>
                <Table.Th>{t('standard')}</Table.Th>
                <Table.Th>{t('setting')}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {rows.map((r) => (
                <Table.Tr key={r.what}>
                  <Table.Td>{t(r.what)}</Table.Td>
                  <Table.Td style={{ whiteSpace: 'nowrap' }}>{r.days ? t('daysOf', { n: r.days }) : t('forever')}</Table.Td>
                  <Table.Td className={r.setting ? 'mono' : 'dim'}>{r.setting || t('fixed')}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
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
