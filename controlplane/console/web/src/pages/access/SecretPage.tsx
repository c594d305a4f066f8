import { Button } from '@mantine/core';
import { useQuery } from '@connectrpc/connect-query';
import { IconArrowBackUp, IconPencil, IconRefresh, IconTrash } from '@tabler/icons-react';
import { getRouteApi, Link } from '@tanstack/react-router';
import { useState } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { problemOf } from '@/api/errors';
import { useOnline } from '@/app/Offline';
import { CopyText } from '@/components/CopyText';
import { NotFound } from '@/components/NotFound';
import { Page, Section } from '@/components/Page';
import { Region } from '@/components/Region';
import { Chip, Status } from '@/components/Status';
import { At, When } from '@/components/When';
import { type Secret, SecretService } from '@/gen/tollgate/control/v1/secret_pb';
import { millis } from '@/lib/time';
import { t as shared } from '@/text/access';
import { t } from '@/text/secrets';
import classes from './Access.module.css';
import { quote } from './keys/facts';
import { Rotated } from './SecretsPage';
import { providerOf } from './secrets/facts';
import { DeleteSecret, References, RollbackSecret, RotateSecret } from './secrets/SecretActions';
import { SecretForm } from './secrets/SecretForm';
import { yamlOf } from './yaml';

const route = getRouteApi('/secrets/$name');

/** One secret: what uses it, and which edges can read it. Its value is shown to nobody. */
export function SecretPage() {
  const { name } = route.useParams();
  const query = useQuery(SecretService.method.getSecret, { secret: name });
  const secret = query.data?.secret;
  if (query.error && problemOf(query.error).code === 'not_found') return <NotFound what={t('notFound', { name })} audit={`object:${name}`} />;
  if (!secret) {
    return (
      <Page title={name} parent={{ to: '/secrets', label: t('secrets') }}>
        <Region query={query}>{() => null}</Region>
      </Page>
    );
  }
  return <Detail key={secret.id} of={secret} />;
}

function Detail({ of: s }: { of: Secret }) {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { may } = useCaller();
  const mayWrite = may(Permission.SECRETS_WRITE);
  const online = useOnline();
  const [doing, setDoing] = useState<'rotate' | 'rollback' | 'delete'>();
  const close = () => setDoing(undefined);
  const edit = (open: boolean) => void navigate({ search: open ? { sel: 'edit' } : {}, replace: true });
  // Edges tell within seconds whether they can read a value that was just changed.
  const references = useQuery(SecretService.method.listSecretReferences, { secret: s.id }, { refetchInterval: 10_000 });
  const canRollback = (millis(s.rollbackEndTime) ?? 0) > Date.now();
  return (
    <Page
      title={s.name}
      heading={<span className="mono">{s.name}</span>}
      parent={{ to: '/secrets', label: t('secrets') }}
      beside={
        <>
          <Chip>{t(`provider_${providerOf(s)}`)}</Chip>
          {s.reference ? null : <Chip>{t('v', { n: String(s.version) })}</Chip>}
          {s.managedBy ? <Chip>{shared('managed', { file: s.managedBy })}</Chip> : null}
        </>
      }
      intro={s.description || null}
      actions={
        mayWrite ? (
          <>
            {s.reference ? null : (
              <Button disabled={!online} leftSection={<IconRefresh size={14} aria-hidden />} onClick={() => setDoing('rotate')}>
                {t('rotate')}
              </Button>
            )}
            {canRollback ? (
              <Button variant="default" disabled={!online} leftSection={<IconArrowBackUp size={14} aria-hidden />} onClick={() => setDoing('rollback')}>
                {t('rollback')}
              </Button>
            ) : null}
            <Button variant="default" leftSection={<IconPencil size={14} aria-hidden />} onClick={() => edit(true)}>
              {shared('edit')}
            </Button>
            <Button variant="default" disabled={!online} leftSection={<IconTrash size={14} aria-hidden />} onClick={() => setDoing('delete')}>
              {t('delete')}
            </Button>
          </>
        ) : null
      }
      copy={{ cli: `tollgate secret refs ${quote(s.name)}`, call: { method: SecretService.method.getSecret, input: { secret: s.id } }, yaml: () => yamlOf('secret', 'secrets', s.name) }}
    >
      <div className={classes.grid}>
        <div className={classes.column}>
          <Section title={t('usedBy')}>
            <Region query={references} skeleton={3}>
              {(d) => <References of={d.references} />}
            </Region>
          </Section>
          <Section title={t('resolvesOn')}>
            <Region query={references} skeleton={3}>
              {(d) =>
                d.nodes.length ? (
                  <ul className={classes.references}>
                    {d.nodes.map((n) => (
                      <li key={n.node}>
                        <Status tone={n.resolved ? 'ok' : 'bad'}>
                          <Link to="/edges/$node" params={{ node: n.node }} className={classes.plain}>
                            {n.node}
                          </Link>
                        </Status>{' '}
                        {n.error ? <span className="bad">{n.error}</span> : null}
                      </li>
                    ))}
                  </ul>
                ) : (
                  <span className="dim">{t('noEdges')}</span>
                )
              }
            </Region>
          </Section>
        </div>
        <div className={classes.column}>
          <Section
            title={shared('details')}
            actions={
              <Link to="/audit" search={{ q: `object:${s.id}` } as never} className={classes.more}>
                {shared('audit')}
              </Link>
            }
          >
            <dl className={classes.facts}>
              <dt>{t('writtenAs')}</dt>
              <dd>
                <CopyText value={`\${secret:${s.name}}`} label={t('copyReference')} />
              </dd>
              {s.reference ? (
                <>
                  <dt>{t('foundAt')}</dt>
                  <dd className="mono">{s.reference}</dd>
                </>
              ) : null}
              <dt>{t('lastRotated')}</dt>
              <dd>
                <Rotated of={s} />
              </dd>
              {canRollback ? (
                <>
                  <dt>{t('rollbackUntil')}</dt>
                  <dd>
                    <At at={s.rollbackEndTime} />
                  </dd>
                </>
              ) : null}
              <dt>{shared('createdAt')}</dt>
              <dd>
                <When at={s.createTime} />
              </dd>
              <dt>{shared('id')}</dt>
              <dd>
                <CopyText value={s.id} label={shared('copyId')} />
              </dd>
            </dl>
            <p className={`dim ${classes.footnote}`}>{t('neverRead')}</p>
          </Section>
        </div>
      </div>
      {search.sel === 'edit' && mayWrite ? <SecretForm of={s} onClose={() => edit(false)} onDone={() => edit(false)} /> : null}
      {doing === 'rotate' ? <RotateSecret of={s} onClose={close} /> : null}
      {doing === 'rollback' ? <RollbackSecret of={s} onClose={close} /> : null}
      {doing === 'delete' ? <DeleteSecret of={s} onClose={close} onDone={() => void navigate({ to: '/secrets' })} /> : null}
    </Page>
  );
}
