import { Button, Group } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { useQuery } from '@connectrpc/connect-query';
import { useState } from 'react';
import { clientOf } from '@/api/client';
import { useNow } from '@/app/clock';
import { useOnline } from '@/app/Offline';
import { zone } from '@/app/preferences';
import { Confirm } from '@/components/Confirm';
import { Section } from '@/components/Page';
import { Region } from '@/components/Region';
import { Chip } from '@/components/Status';
import { At, When } from '@/components/When';
import { type Key, KeyService, type KeySecretUse, KeyStatus } from '@/gen/tollgate/control/v1/key_pb';
import { absolute, ago, millis } from '@/lib/time';
import { t } from '@/text/access';
import classes from '../Access.module.css';
import { anyway, complain, refreshKeys } from '../keys/actions';
import { masked } from '../keys/facts';

const day = 86_400_000;
const quiet = 15 * 60_000;
const longest = 30 * day;
const calls = clientOf(KeyService);

/** The secrets of a key: which one holds, whether anybody still uses the old one, and the end of its time. */
export function KeySecrets({ of: given, mayWrite }: { of: Key; mayWrite: boolean }) {
  const latest = useQuery(KeyService.method.getKey, { key: given.id });
  const k = latest.data?.key ?? given;
  const rotating = k.status === KeyStatus.ROTATING || k.overlapEndTime !== undefined;
  // Who waits for the last caller to move looks at it often.
  const query = useQuery(KeyService.method.getKeyUse, { key: k.id }, { refetchInterval: rotating ? 3000 : 30_000 });
  const [ending, setEnding] = useState(false);
  const online = useOnline();
  const z = zone.use();
  const old = query.data?.secrets.find((s) => !s.current);
  const works = (millis(k.overlapEndTime) ?? 0) > Date.now();
  const [busy, setBusy] = useState(false);
  // Where nobody has used it for a while there is nothing to warn of.
  const end = async () => {
    const last = millis(old?.lastUseTime);
    if (last !== undefined && Date.now() - last < quiet) return setEnding(true);
    setBusy(true);
    await endOverlap(k).catch(complain);
    setBusy(false);
  };
  const extend = async () => {
    const until = Math.min(Math.max(millis(k.overlapEndTime) ?? 0, Date.now()) + day, Date.now() + longest - 60_000);
    try {
      await calls.endKeyOverlap({ key: k.id, endTime: timestampFromMs(until) }, anyway(k));
      notifications.show({ message: t('extended', { at: absolute(until, z) }), autoClose: 4000 });
      await refreshKeys();
    } catch (err) {
      complain(err);
    }
  };
  return (
    <Section title={t('secretsTitle')}>
      <Region query={query} skeleton={2}>
        {(d) => (
          <div className={classes.secrets}>
            <div className={classes.secretRows}>
              {d.secrets.map((s) => (
                <SecretUse key={s.current ? 'new' : 'old'} of={s} alone={d.secrets.length === 1} counted={k.rotateTime !== undefined} />
              ))}
            </div>
            {old && works && mayWrite ? (
              <Group gap="xs">
                <Button variant="default" className="bad" disabled={!online} loading={busy} onClick={() => void end()}>
                  {t('endOverlap')}
                </Button>
                <Button variant="default" disabled={!online} onClick={() => void extend()}>
                  {t('extendOverlap')}
                </Button>
              </Group>
            ) : null}
            {k.rotateTime ? <span className="dim">{t('countedSince')}</span> : null}
          </div>
        )}
      </Region>
      {ending && old ? <EndOverlap of={k} old={old} onClose={() => setEnding(false)} /> : null}
    </Section>
  );
}

async function endOverlap(k: Key): Promise<void> {
  await calls.endKeyOverlap({ key: k.id }, anyway(k));
  await refreshKeys();
  notifications.show({ message: t('overlapEnded', { name: k.name }), autoClose: 4000 });
}

function EndOverlap({ of: k, old, onClose }: { of: Key; old: KeySecretUse; onClose: () => void }) {
  const now = useNow();
  return (
    <Confirm title={t('endOverlapTitle', { name: k.name })} action={t('endOverlap')} run={() => endOverlap(k)} onClose={onClose}>
      <span className="bad">{t('endOverlapUsed', { ago: ago(millis(old.lastUseTime) ?? now, now) })}</span>
    </Confirm>
  );
}

function SecretUse({ of: s, alone, counted }: { of: KeySecretUse; alone: boolean; counted: boolean }) {
  const used = s.requests > 0n;
  return (
    <div className={classes.secretRow} data-secret={s.current ? 'new' : 'old'}>
      <b>{t(s.current ? (alone ? 'secretHolds' : 'secretNew') : 'secretOld')}</b>
      <span>
        <span className="mono">{masked(s) || t('imported')}</span>
        {counted ? (
          <>
            {' · '}
            {used ? (
              <>
                <span className="num">{t('useTotal', { n: Number(s.requests) })}</span>, {t('useHour', { n: Number(s.requestsLastHour) })}
              </>
            ) : (
              t('neverUsed')
            )}
          </>
        ) : null}
      </span>
      <span />
      <span className="dim">
        {s.firstUseTime ? <>{t.rich('firstSeen', { at: <When key="at" at={s.firstUseTime} /> })}{' · '}</> : null}
        {s.lastUseTime ? (
          <>
            {s.lastAddress
              ? t.rich('lastFrom', { address: <span key="address" className="mono">{s.lastAddress}</span>, agent: s.lastAgent || '–', edge: s.lastEdge, at: <When key="at" at={s.lastUseTime} /> })
              : t.rich('lastFromPlain', { at: <When key="at" at={s.lastUseTime} /> })}
            {' · '}
          </>
        ) : null}
        {s.endTime && !s.current ? <Chip tone="warn">{t.rich('stopsAt', { at: <At key="at" at={s.endTime} /> })}</Chip> : t.rich('madeAt', { at: <When key="at" at={s.createTime} /> })}
      </span>
    </div>
  );
}
