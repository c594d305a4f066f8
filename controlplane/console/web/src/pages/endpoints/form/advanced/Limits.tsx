import { create } from '@bufbuild/protobuf';
import type { Duration } from '@bufbuild/protobuf/wkt';
import { Abandoned, type Timeouts, TimeoutsSchema } from '@/gen/tollgate/control/v1/endpoint_pb';
import { t } from '@/text/endpoint-form';
import { useForm } from '../context';
import classes from '../Field.module.css';
import { ChoiceField, DurationField, SizeField } from './Inputs';

/** How long things may take, and how large they may be. */
export function Limits() {
  const { draft, change } = useForm();
  const set = (name: 'connect' | 'idle' | 'total') => (d: Duration | undefined) =>
    change((e) => {
      const next: Timeouts = create(TimeoutsSchema, e.timeouts ?? {});
      if (d) next[name] = d;
      else delete next[name];
      if (next.connect || next.idle || next.total) e.timeouts = next;
      else delete e.timeouts;
    });
  return (
    <>
      <div className={classes.pair}>
        <DurationField field="timeouts.connect" label={t('timeoutConnect')} placeholder={t('byDefault', { value: '10s' })} value={draft.timeouts?.connect} onChange={set('connect')} />
        <DurationField
          field="timeout"
          label={t('timeoutFirst')}
          placeholder={t('byDefault', { value: '10m' })}
          value={draft.timeout}
          onChange={(d) =>
            change((e) => {
              if (d) e.timeout = d;
              else delete e.timeout;
            })
          }
        />
        <DurationField field="timeouts.idle" label={t('timeoutIdle')} placeholder={t('edgesOwn')} value={draft.timeouts?.idle} onChange={set('idle')} />
        <DurationField field="timeouts.total" label={t('timeoutTotal')} placeholder={t('byDefault', { value: t('none') })} value={draft.timeouts?.total} onChange={set('total')} />
        <SizeField field="max_body_bytes" label={t('maxBody')} placeholder={t('edgesOwn')} value={draft.maxBodyBytes} onChange={(n) => change((e) => void (e.maxBodyBytes = n))} />
      </div>
      <ChoiceField
        field="abandoned"
        label={t('abandoned')}
        hint={t('abandonedHint')}
        value={draft.abandoned || Abandoned.RESERVED}
        options={[
          [Abandoned.RESERVED, t('abandonedReserved')],
          [Abandoned.METERED, t('abandonedMetered')],
          [Abandoned.NOTHING, t('abandonedNothing')],
        ]}
        onChange={(n) => change((e) => void (e.abandoned = n))}
      />
    </>
  );
}
