import { toJson } from '@bufbuild/protobuf';
import { Anchor, Button } from '@mantine/core';
import { useQuery } from '@connectrpc/connect-query';
import { IconDownload } from '@tabler/icons-react';
import { type ReactNode, useState } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { clientOf } from '@/api/client';
import { basePath } from '@/boot';
import { CopyText } from '@/components/CopyText';
import { Section } from '@/components/Page';
import { Failure, Region } from '@/components/Region';
import { Status } from '@/components/Status';
import { AsOf, At } from '@/components/When';
import { GetInfoResponseSchema, ListNodesResponseSchema, SystemService } from '@/gen/tollgate/control/v1/system_pb';
import { download } from '@/pages/access/keys/facts';
import { t } from '@/text/general';
import classes from './Settings.module.css';

/** What runs here. */
export default function About() {
  const query = useQuery(SystemService.method.getInfo, {}, { refetchInterval: 15_000 });
  return (
    <>
      <Section title={t('about')} actions={<AsOf at={query.dataUpdatedAt || undefined} />}>
        <Region query={query}>
          {(d) => {
            const facts: [string, ReactNode][] = [
              [t('version'), d.version],
              ...(d.commit ? ([[t('commit'), <span key="commit"><CopyText value={d.commit} shown={d.commit.slice(0, 12)} /> <At at={d.commitTime} none="" /></span>]] as [string, ReactNode][]) : []),
              [t('go'), d.goVersion],
              [t('revision'), t('published', { revision: String(d.revision), published: String(d.publishedRevision) })],
              [t('epoch'), String(d.epoch)],
              [t('ledger'), d.ledger === undefined ? t('none') : <Status key="ledger" tone={d.ledger ? 'ok' : 'bad'}>{t(d.ledger ? 'answers' : 'away')}</Status>],
              [t('nats'), <Status key="nats" tone={d.nats ? 'ok' : 'bad'}>{t(d.nats ? 'connected' : 'notConnected')}</Status>],
              [t('client'), d.oldestClient],
              [t('clock'), <At key="clock" at={d.time} />],
            ];
            return (
              <dl className={classes.facts}>
                {facts.map(([name, value]) => (
                  <div key={name} style={{ display: 'contents' }}>
                    <dt>{name}</dt>
                    <dd>{value}</dd>
                  </div>
                ))}
              </dl>
            );
          }}
        </Region>
      </Section>
      <Diagnostics />
      <Section title={t('licences')}>
        <p className={classes.text} style={{ margin: 0 }}>
          {t('licencesText')}{' '}
          <Anchor size="sm" href={`${basePath}THIRD-PARTY-LICENSES.txt`} target="_blank" rel="noopener noreferrer">
            {t('licencesLink')}
          </Anchor>
        </p>
      </Section>
    </>
  );
}

function Diagnostics() {
  const { may } = useCaller();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const go = async () => {
    setBusy(true);
    setError(undefined);
    try {
      const calls = clientOf(SystemService);
      const [info, nodes] = await Promise.all([calls.getInfo({}), may(Permission.EDGES_READ) ? calls.listNodes({}) : undefined]);
      const bundle = { time: new Date().toISOString(), browser: navigator.userAgent, info: toJson(GetInfoResponseSchema, info), ...(nodes ? { edges: toJson(ListNodesResponseSchema, nodes) } : {}) };
      download('tollgate-diagnostics.json', `${JSON.stringify(bundle, null, 2)}\n`, 'application/json');
    } catch (err) {
      setError(err);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Section title={t('diagnostics')}>
      <p className={classes.text}>{t('diagnosticsText')}</p>
      <Button variant="default" loading={busy} leftSection={<IconDownload size={14} aria-hidden />} onClick={() => void go()}>
        {t('download')}
      </Button>
      {error ? <Failure error={error} /> : null}
    </Section>
  );
}
