import { Button, Group } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQuery } from '@connectrpc/connect-query';
import { useState } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { clientOf, queryClient } from '@/api/client';
import { Confirm } from '@/components/Confirm';
import { Section } from '@/components/Page';
import { Fields } from '@/components/Plan';
import { Region } from '@/components/Region';
import { Chip } from '@/components/Status';
import { When } from '@/components/When';
import { ConfigService, type Drift } from '@/gen/tollgate/control/v1/config_pb';
import { t } from '@/text/import';
import classes from '../Settings.module.css';

/** What is not as the file that owns it says, by file. */
export function DriftPart() {
  const { may } = useCaller();
  const query = useQuery(ConfigService.method.listDrift, {});
  const [releasing, setReleasing] = useState<string>();
  return (
    <Section title={t('drift')}>
      <p className={classes.text}>{t('driftText')}</p>
      <Region query={query} skeleton={2}>
        {(d) =>
          d.drift.length ? (
            <>
              {byOwner(d.drift).map(([owner, drift]) => (
                <section key={owner} aria-label={owner}>
                  <Group justify="space-between" mb={8}>
                    <strong>{t('driftOf', { n: drift.length, owner })}</strong>
                    {may(Permission.CONFIG_WRITE) ? (
                      <Button variant="default" aria-label={t('releaseOf', { owner })} onClick={() => setReleasing(owner)}>
                        {t('release')}
                      </Button>
                    ) : null}
                  </Group>
                  <ul className={classes.list}>
                    {drift.map((x) => (
                      <li key={`${x.kind} ${x.name}`}>
                        <div className={classes.row}>
                          <span className="dim">{x.kind}</span>
                          <strong>{x.name}</strong>
                          {x.deleted ? <Chip tone="bad">{t('deletedHere')}</Chip> : null}
                          <span className="dim">
                            {t('by', { actor: x.actor })} <When at={x.time} />
                          </span>
                        </div>
                        <Fields fields={x.fields} />
                      </li>
                    ))}
                  </ul>
                </section>
              ))}
            </>
          ) : (
            <span>{t('noDrift')}</span>
          )
        }
      </Region>
      {releasing ? (
        <Confirm
          title={t('releaseTitle', { owner: releasing })}
          action={t('release')}
          danger={false}
          onClose={() => setReleasing(undefined)}
          run={async () => {
            const { objects } = await clientOf(ConfigService).release({ owner: releasing });
            notifications.show({ message: t('released', { n: objects }) });
            // Whatever it was that the file owned says so no more.
            await queryClient.invalidateQueries();
          }}
        >
          {t('releaseText', { owner: releasing })}
        </Confirm>
      ) : null}
    </Section>
  );
}

function byOwner(all: Drift[]): [string, Drift[]][] {
  const out = new Map<string, Drift[]>();
  for (const one of all) out.set(one.owner, [...(out.get(one.owner) ?? []), one]);
  return [...out];
}
