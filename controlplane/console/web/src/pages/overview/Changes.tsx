import { Anchor } from '@mantine/core';
import { useQuery } from '@connectrpc/connect-query';
import { Link } from '@tanstack/react-router';
import { Section } from '@/components/Page';
import { Region } from '@/components/Region';
import { When } from '@/components/When';
import { AuditService } from '@/gen/tollgate/control/v1/audit_pb';
import { t } from '@/text/overview';
import classes from './OverviewPage.module.css';

/** What was changed last, and by whom. */
export function Changes() {
  const entries = useQuery(AuditService.method.listAuditEntries, { pageSize: 7 });
  return (
    <Section
      title={t('changes')}
      flush
      actions={
        <Anchor component={Link} to="/audit" size="xs">
          {t('allChanges')}
        </Anchor>
      }
    >
      <Region query={entries} skeleton={5}>
        {(data) =>
          data.entries.length ? (
            <ul className={classes.list}>
              {data.entries.map((e) => (
                <li key={e.id} className={classes.item}>
                  <span className={classes.sentence}>
                    <Anchor component={Link} to="/audit" search={{ sel: e.id } as never} size="sm">
                      {t('change', { actor: e.actor, action: e.action, kind: e.kind, name: e.objectName || e.objectId })}
                    </Anchor>
                    {e.summary ? <div className={`${classes.note} clip`}>{e.summary}</div> : null}
                  </span>
                  <span className={classes.since}>
                    <When at={e.time} />
                  </span>
                </li>
              ))}
            </ul>
          ) : (
            <div className={classes.rest}>{t('noChanges')}</div>
          )
        }
      </Region>
    </Section>
  );
}
