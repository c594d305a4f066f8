import { Alert, Button, Group, Tooltip } from '@mantine/core';
import { useMutation, useQuery } from '@connectrpc/connect-query';
import { IconBell, IconPlus } from '@tabler/icons-react';
import { getRouteApi } from '@tanstack/react-router';
import { Permission, useCaller } from '@/api/caller';
import { refresh } from '@/api/client';
import { useKeys } from '@/app/keys';
import { useOnline } from '@/app/Offline';
import { type Column, DataTable } from '@/components/DataTable';
import { Section } from '@/components/Page';
import { Empty, Failure, Region } from '@/components/Region';
import { Status } from '@/components/Status';
import { AsOf, When } from '@/components/When';
import { type AlertChannel, AlertDeliveryState, AlertService, type TestAlertChannelResponse } from '@/gen/tollgate/control/v1/alert_pb';
import { span, took } from '@/lib/time';
import { t } from '@/text/alerts';
import { t as settings } from '@/text/settings';
import { t as shell } from '@/text/shell';
import classes from '../Settings.module.css';
import { ChannelActions } from './ChannelActions';
import { ChannelForm } from './ChannelForm';
import { Deliveries } from './Deliveries';
import { eventText, kindWord } from './facts';

const route = getRouteApi('/settings/$section');

/** Where alerts are sent, and whether they arrive. */
export default function Alerts() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { may } = useCaller();
  const write = may(Permission.SETTINGS_WRITE);
  const query = useQuery(AlertService.method.listAlertChannels, {}, { refetchInterval: 15_000 });
  const create = (on: boolean) => void navigate({ search: (s) => ({ ...s, new: on || undefined }), replace: !on });
  const test = useMutation(AlertService.method.testAlertChannel, { onSettled: () => refresh(AlertService) });
  const online = useOnline();
  useKeys({ n: () => write && create(true) });
  const columns: Column<AlertChannel>[] = [
    { id: 'name', header: t('name'), fixed: true, cell: (c) => <span style={{ fontWeight: 500 }}>{c.name}</span> },
    { id: 'kind', header: t('kind'), cell: (c) => t(`kind_${kindWord(c.kind)}`) },
    { id: 'host', header: t('host'), cell: (c) => <span className="mono">{c.host}</span> },
    {
      id: 'told', header: t('told'),
      cell: (c) => (
        <Tooltip label={<div style={{ whiteSpace: 'pre-line' }}>{c.events.map(eventText).filter(Boolean).join('\n')}</div>}>
          <span tabIndex={0}>{t('toldN', { n: c.events.length })}</span>
        </Tooltip>
      ),
    },
    { id: 'last', header: t('last'), cell: (c) => <When at={c.lastDelivery?.endTime ?? c.lastDelivery?.createTime} none={t('never')} /> },
    {
      id: 'state', header: t('state'), fixed: true,
      cell: (c) => (c.disabled ? <Status tone="off">{t('off')}</Status> : c.lastDelivery?.state === AlertDeliveryState.FAILED ? <Status tone="bad" hint={c.lastDelivery.error}>{t('failing')}</Status> : <Status tone="ok">{t('on')}</Status>),
    },
  ];
  return (
    <>
      <Section
        flush
        title={t('channels')}
        actions={
          <>
            <AsOf at={query.dataUpdatedAt || undefined} />
            {write ? (
              <Button leftSection={<IconPlus size={14} aria-hidden />} onClick={() => create(true)}>
                {t('create')}
              </Button>
            ) : null}
          </>
        }
      >
        <p className={classes.text} style={{ padding: '0 16px' }}>{t('text')}</p>
        <div style={{ padding: '0 16px' }} role="status">
          {test.data ? <Tested name={test.variables?.channel ?? ''} result={test.data} onClose={() => test.reset()} /> : null}
          {test.error ? <Failure error={test.error} /> : null}
        </div>
        <Region query={query} skeleton={3}>
          {(d) =>
            d.channels.length ? (
              <DataTable
                id="alerts"
                label={t('channels')}
                columns={columns}
                rows={d.channels}
                rowKey={(c) => c.id}
                tone={(c) => (c.disabled ? 'dim' : undefined)}
                rowActions={(c) =>
                  write ? (
                    <Group gap={4} wrap="nowrap" justify="flex-end">
                      <Button
                        size="compact-xs"
                        variant="default"
                        aria-label={t('testOf', { name: c.name })}
                        title={online ? undefined : settings('offline')}
                        loading={test.isPending && test.variables?.channel === c.name}
                        disabled={!online}
                        onClick={() => test.mutate({ channel: c.name })}
                      >
                        {t('test')}
                      </Button>
                      <ChannelActions channel={c} />
                    </Group>
                  ) : null
                }
              />
            ) : (
              <Empty icon={<IconBell size={28} />} title={t('none')} cli="tollgate alert create ops < url.txt">
                {t('noneText')}
              </Empty>
            )
          }
        </Region>
      </Section>
      <Deliveries />
      {search.new && write ? <ChannelForm onClose={() => create(false)} /> : null}
    </>
  );
}

function Tested({ name, result: r, onClose }: { name: string; result: TestAlertChannelResponse; onClose: () => void }) {
  const ok = r.delivered;
  return (
    <Alert
      mb="sm"
      color={ok ? 'green.9' : 'red'}
      variant="outline"
      withCloseButton
      closeButtonLabel={shell('close')}
      onClose={onClose}
      title={ok ? t('testOk', { name, status: String(r.status), took: took(span(r.took)) }) : t('testBad', { name })}
    >
      {ok ? null : [r.error, r.status && r.answer ? t('answered', { status: String(r.status), answer: r.answer }) : ''].filter(Boolean).join(' ')}
    </Alert>
  );
}
