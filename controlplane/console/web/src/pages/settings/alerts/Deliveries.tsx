import { useQuery } from '@connectrpc/connect-query';
import { type Column, DataTable } from '@/components/DataTable';
import { Section } from '@/components/Page';
import { Region } from '@/components/Region';
import { Status } from '@/components/Status';
import { AsOf, When } from '@/components/When';
import { useNow } from '@/app/clock';
import { type AlertDelivery, AlertDeliveryState, AlertEvent, AlertService } from '@/gen/tollgate/control/v1/alert_pb';
import { ago, millis } from '@/lib/time';
import { t } from '@/text/alerts';
import classes from '../Settings.module.css';

const eventWords = { [AlertEvent.BEGIN]: 'begins', [AlertEvent.END]: 'ends', [AlertEvent.TEST]: 'isTest', [AlertEvent.UNSPECIFIED]: 'begins' } as const;

/** What was sent or is to be, and what became of it. */
export function Deliveries() {
  const now = useNow();
  const query = useQuery(AlertService.method.listAlertDeliveries, { limit: 50 }, { refetchInterval: 15_000 });
  const columns: Column<AlertDelivery>[] = [
    { id: 'time', header: t('time'), width: 110, cell: (d) => <When at={d.createTime} /> },
    { id: 'channel', header: t('channel'), cell: (d) => d.channelName },
    {
      id: 'what', header: t('what'), fixed: true, width: '2fr',
      cell: (d) => (
        <span title={d.sentence}>
          {d.sentence} <span className="dim">{t(eventWords[d.event])}</span>
        </span>
      ),
    },
    {
      id: 'result', header: t('result'), fixed: true,
      cell: (d) => {
        if (d.state === AlertDeliveryState.DELIVERED) return <Status tone="ok">{t('delivered')}</Status>;
        const next = millis(d.nextTime);
        const more = [t('attempts', { n: d.attempts }), next ? t('next', { when: ago(next, now) }) : ''].filter(Boolean).join(', ');
        const failed = d.state === AlertDeliveryState.FAILED;
        return (
          <Status tone={failed ? 'bad' : 'warn'} hint={d.error || undefined}>
            {t(failed ? 'failed' : 'pending')} <span className="dim">{more}</span>
          </Status>
        );
      },
    },
  ];
  return (
    <Section flush title={t('deliveries')} actions={<AsOf at={query.dataUpdatedAt || undefined} />}>
      <Region query={query} skeleton={3}>
        {(d) => (d.deliveries.length ? <DataTable id="deliveries" label={t('deliveries')} columns={columns} rows={d.deliveries} rowKey={(x) => x.id} /> : <p className={`dim ${classes.none}`}>{t('noDeliveries')}</p>)}
      </Region>
    </Section>
  );
}
