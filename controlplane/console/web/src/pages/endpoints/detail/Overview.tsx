import { Button } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { Permission, useCaller } from '@/api/caller';
import { Section } from '@/components/Page';
import { RangePicker } from '@/components/RangePicker';
import { Empty } from '@/components/Region';
import type { Endpoint } from '@/gen/tollgate/control/v1/endpoint_pb';
import { t } from '@/text/endpoints';
import classes from '../EndpointPage.module.css';
import { useRecent } from '../list/useRecent';
import { Charts } from './Charts';
import { Errors, TopKeys } from './Tables';
import { Flow } from './Flow';
import { useRange } from './useRange';

/** How an endpoint does. */
export default function Overview({ endpoint }: { endpoint: Endpoint }) {
  const { may } = useCaller();
  const usage = useRecent(endpoint.id);
  const { range, resolved, set, timeZone } = useRange();
  const figures = may(Permission.MONEY_READ);
  const never = usage.known && !usage.recent.has(endpoint.id) && !usage.spend.has(endpoint.id);
  return (
    <>
      <Flow endpoint={endpoint} usage={usage} />
      {figures && never ? (
        <div className="card">
          <Empty
            title={t('noTraffic')}
            cli={`curl $GATEWAY${endpoint.path} -H "Authorization: Bearer $TOLLGATE_KEY"`}
            actions={
              <Button component={Link} to="/endpoints/$name/$tab" params={{ name: endpoint.name, tab: 'try' } as never} variant="default">
                {t('try')}
              </Button>
            }
          >
            {t('noTrafficText')}
          </Empty>
        </div>
      ) : figures ? (
        <>
          <div className={classes.toolbar}>
            <RangePicker value={range} onChange={set} />
          </div>
          <Charts endpoint={endpoint} range={resolved} timeZone={timeZone} onZoom={(from, to) => set({ from: iso(from), to: iso(to) })} />
          <div className={classes.pair}>
            <TopKeys endpoint={endpoint} range={resolved} timeZone={timeZone} />
            <Errors endpoint={endpoint} range={resolved} />
          </div>
        </>
      ) : null}
      {endpoint.warnings.length ? (
        <Section title={t('notes')}>
          <ul className={classes.noteList}>
            {endpoint.warnings.map((w) => (
              <li key={w.field + w.code}>{w.text}</li>
            ))}
          </ul>
        </Section>
      ) : null}
    </>
  );
}

const iso = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`;
