import { Anchor } from '@mantine/core';
import { useQuery } from '@connectrpc/connect-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { targetOf } from '@/app/attention';
import { useNow } from '@/app/clock';
import { Section } from '@/components/Page';
import { Region } from '@/components/Region';
import { Status, type Tone } from '@/components/Status';
import { AsOf, When } from '@/components/When';
import { AttentionSeverity, OverviewService } from '@/gen/tollgate/control/v1/overview_pb';
import { ago, millis } from '@/lib/time';
import { t } from '@/text/overview';
import classes from './OverviewPage.module.css';

const tones: Record<AttentionSeverity, Tone> = {
  [AttentionSeverity.UNSPECIFIED]: 'info',
  [AttentionSeverity.CRITICAL]: 'bad',
  [AttentionSeverity.WARNING]: 'warn',
  [AttentionSeverity.INFO]: 'info',
};
const shownAtFirst = 7;

/** What needs somebody, the worst first. Each has one thing to do. */
export function Attention() {
  const list = useQuery(OverviewService.method.listAttention, { limit: 20 }, { refetchInterval: 10_000 });
  const [all, setAll] = useState(false);
  const now = useNow();
  const total = list.data?.counts.reduce((n, c) => n + c.count, 0) ?? 0;
  return (
    <Section title={total ? t('attentionCount', { n: total }) : t('attention')} actions={<AsOf at={list.data?.asOf} />} flush>
      <Region query={list} skeleton={4}>
        {(data) => {
          const items = all ? data.items : data.items.slice(0, shownAtFirst);
          if (!items.length) {
            const last = millis(data.lastEndTime);
            return <div className={classes.rest}>{last === undefined ? t('nothing') : t('nothingSince', { ago: ago(last, now) })}</div>;
          }
          const rest = total - items.length;
          return (
            <>
              <ul className={classes.list}>
                {items.map((item) => {
                  const target = targetOf(item);
                  return (
                    <li key={item.id} className={classes.item}>
                      <span className={classes.sentence}>
                        <Status tone={tones[item.severity]}>
                          <span style={{ color: 'var(--mantine-color-text)', whiteSpace: 'normal' }}>{item.sentence}</span>
                        </Status>
                      </span>
                      <span className={classes.since}>
                        <When at={item.since} />
                      </span>
                      <Anchor component={Link} to={target.to} search={(target.search ?? {}) as never} size="sm" className={classes.verb} aria-label={`${item.verb}: ${item.sentence}`}>
                        {item.verb}
                      </Anchor>
                    </li>
                  );
                })}
              </ul>
              {rest > 0 ? (
                <div className={classes.rest}>
                  {t('moreAttention', { n: rest })}{' '}
                  {all ? null : (
                    <Anchor component="button" type="button" size="sm" onClick={() => setAll(true)}>
                      {t('showAll')}
                    </Anchor>
                  )}
                </div>
              ) : null}
            </>
          );
        }}
      </Region>
    </Section>
  );
}
