import { Stack } from '@mantine/core';
import { Amount } from '@/components/Amount';
import { Status } from '@/components/Status';
import type { Explanation } from '@/gen/tollgate/control/v1/explain_pb';
import { t } from '@/text/try';
import classes from './Try.module.css';
import { Sent } from './SentView';

/** What each stage of an edge says about a request, and where it would go. */
export function TraceView({ explanation: e, dry }: { explanation: Explanation; dry?: boolean }) {
  return (
    <Stack gap={12}>
      <div className={classes.facts}>
        <Status tone={e.admitted ? 'ok' : 'bad'}>{e.admitted ? t('admitted') : t('refused')}</Status>
        {e.hold ? <span>{t.rich('held', { amount: <b><Amount value={e.hold} /></b> })}</span> : null}
        <span className="dim">{t('servedBy', { edge: e.edge, revision: String(e.revision) })}</span>
        {dry ? <span className="dim">{t('notCharged')}</span> : null}
      </div>
      <ol className={classes.steps}>
        {e.steps.map((s) => (
          <li key={s.stage}>
            <Status tone={s.passed ? 'ok' : 'bad'}>
              <span className="visually-hidden">{s.passed ? t('passed') : t('stopped')}</span>
            </Status>
            <span className="dim">{s.stage}</span>
            <span className="wrap">{s.text}</span>
          </li>
        ))}
      </ol>
      {e.refusal ? (
        <div>
          <Status tone="bad">{`${e.refusal.status} ${e.refusal.code}`}</Status> {e.refusal.message} <span className="dim">{e.refusal.hint}</span>
        </div>
      ) : null}
      {dry && e.admitted ? <Sent explanation={e} /> : null}
    </Stack>
  );
}
