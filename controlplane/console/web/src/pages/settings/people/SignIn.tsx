import { Button, Tooltip } from '@mantine/core';
import { useQuery } from '@connectrpc/connect-query';
import { IconExternalLink } from '@tabler/icons-react';
import { CopyText } from '@/components/CopyText';
import { Section } from '@/components/Page';
import { Region } from '@/components/Region';
import { type SingleSignOn, SystemService } from '@/gen/tollgate/control/v1/system_pb';
import { list } from '@/lib/text';
import { span, took } from '@/lib/time';
import { t } from '@/text/people';
import classes from '../Settings.module.css';

/** How people sign in, by the configuration of the control plane. */
export function SignIn() {
  const query = useQuery(SystemService.method.getSignInSettings, {}, { staleTime: 60_000 });
  const sso = query.data?.singleSignOn;
  return (
    <Section
      title={t('sso_title')}
      actions={
        sso ? (
          <Tooltip label={t('sso_testHint')}>
            <Button component="a" href={sso.startUrl} target="_blank" rel="noopener noreferrer" variant="default" rightSection={<IconExternalLink size={14} aria-hidden />}>
              {t('sso_test')}
            </Button>
          </Tooltip>
        ) : null
      }
    >
      <Region query={query} skeleton={3}>
        {(d) => (
          <>
            {d.singleSignOn ? <Facts sso={d.singleSignOn} /> : <p className={classes.text}>{t('sso_none')}</p>}
            <p className={classes.text} style={{ margin: '12px 0 0' }}>
              {t('sessionText', { idle: took(span(d.sessionIdle)), total: took(span(d.sessionTotal)) })}
            </p>
          </>
        )}
      </Region>
    </Section>
  );
}

function Facts({ sso: s }: { sso: SingleSignOn }) {
  const facts: [string, React.ReactNode][] = [
    [t('name'), s.name],
    [t('sso_issuer'), s.issuer],
    [t('sso_client'), s.clientId],
    [t('sso_redirect'), <CopyText key="redirect" value={s.redirectUrl} />],
    [t('sso_domains'), s.domains.length ? list(s.domains) : t('sso_anyDomain')],
    ...(s.rolesClaim ? ([[t('sso_claim'), s.rolesClaim], [t('sso_roles'), list(s.roles)]] as [string, string][]) : []),
    [t('sso_default'), s.defaultRole || t('sso_refused')],
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
}
