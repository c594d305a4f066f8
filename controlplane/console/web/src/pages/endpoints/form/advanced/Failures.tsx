import { create, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import { Switch } from '@mantine/core';
import type { ReactNode } from 'react';
import type { Endpoint } from '@/gen/tollgate/control/v1/endpoint_pb';
import { BreakerSchema, HealthCheckSchema, HedgeSchema, OutlierEjectionSchema, RetrySchema } from '@/gen/tollgate/control/v1/resilience_pb';
import { t } from '@/text/endpoint-form';
import { useForm } from '../context';
import { toDuration } from '../duration';
import classes from '../Field.module.css';
import { CountField, DurationField, SizeField, StatusesField, SwitchField, TextField } from './Inputs';

type Part = 'retry' | 'hedge' | 'breaker' | 'healthCheck' | 'outlierEjection';

/** Edits a part of the endpoint that is there or is not. */
function usePart<P extends Part>(part: P) {
  const { draft, change } = useForm();
  type Value = NonNullable<Endpoint[P]>;
  return {
    value: draft[part] as Value | undefined,
    edit: (f: (v: Value) => void) =>
      change((e) => {
        const v = e[part] as Value | undefined;
        if (v) f(v);
      }),
    put: (v: Value | undefined) =>
      change((e) => {
        if (v) (e as Record<Part, unknown>)[part] = v;
        else delete e[part];
      }),
  };
}

function Switched<D extends DescMessage>({ part, label, hint, first, children }: { part: Part; label: string; hint: string; first: () => MessageShape<D>; children: ReactNode }) {
  const form = useForm();
  const { value, put } = usePart(part);
  return (
    <div>
      <Switch label={label} description={hint} checked={value !== undefined} disabled={form.disabled} onChange={(e) => put(e.currentTarget.checked ? (first() as never) : undefined)} py={6} />
      {value === undefined ? null : <div style={{ paddingLeft: 16, borderLeft: '2px solid var(--t-line)', margin: '4px 0 8px 18px' }}>{children}</div>}
    </div>
  );
}

const def = (value: string) => t('byDefault', { value });

/** What happens when a target fails or is slow. */
export function Failures() {
  const retry = usePart('retry');
  const hedge = usePart('hedge');
  const breaker = usePart('breaker');
  const health = usePart('healthCheck');
  const outlier = usePart('outlierEjection');
  return (
    <>
      <Switched part="retry" label={t('retry')} hint={t('retryHint')} first={() => create(RetrySchema, { attempts: 1 })}>
        <div className={classes.pair}>
          <CountField field="retry.attempts" label={t('retryAttempts')} value={retry.value?.attempts ?? 0} max={5} onChange={(n) => retry.edit((r) => void (r.attempts = n))} />
          <StatusesField field="retry.statuses" label={t('retryStatuses')} placeholder="429, 502, 503, 504" value={retry.value?.statuses ?? []} onChange={(l) => retry.edit((r) => void (r.statuses = l))} />
          <DurationField field="retry.backoff" label={t('retryBackoff')} placeholder={def('25ms')} value={retry.value?.backoff} onChange={(d) => retry.edit((r) => void (d ? (r.backoff = d) : delete r.backoff))} />
          <CountField field="retry.budget_percent" label={t('retryBudget')} placeholder={def('20 %')} suffix=" %" max={100} value={retry.value?.budgetPercent ?? 0} onChange={(n) => retry.edit((r) => void (r.budgetPercent = n))} />
          <SizeField field="retry.max_body_bytes" label={t('retryBody')} placeholder={def('1 MiB')} value={retry.value?.maxBodyBytes ?? 0n} onChange={(n) => retry.edit((r) => void (r.maxBodyBytes = n))} />
        </div>
        <SwitchField field="retry.any_method" label={t('anyMethod')} hint={t('anyMethodHint')} value={retry.value?.anyMethod ?? false} onChange={(on) => retry.edit((r) => void (r.anyMethod = on))} />
      </Switched>
      <Switched part="hedge" label={t('hedge')} hint={t('hedgeHint')} first={() => create(HedgeSchema, { after: toDuration(2000) })}>
        <DurationField field="hedge.after" label={t('hedgeAfter')} value={hedge.value?.after} onChange={(d) => hedge.edit((h) => void (d ? (h.after = d) : delete h.after))} />
        <SwitchField field="hedge.any_method" label={t('anyMethod')} hint={t('anyMethodHint')} value={hedge.value?.anyMethod ?? false} onChange={(on) => hedge.edit((h) => void (h.anyMethod = on))} />
      </Switched>
      <Switched part="breaker" label={t('breaker')} hint={t('breakerHint')} first={() => create(BreakerSchema)}>
        <div className={classes.pair}>
          <CountField field="breaker.min_attempts" label={t('breakerMin')} placeholder={def('5')} value={breaker.value?.minAttempts ?? 0} onChange={(n) => breaker.edit((b) => void (b.minAttempts = n))} />
          <CountField field="breaker.fail_percent" label={t('breakerShare')} placeholder={def('50 %')} suffix=" %" max={100} value={breaker.value?.failPercent ?? 0} onChange={(n) => breaker.edit((b) => void (b.failPercent = n))} />
          <DurationField field="breaker.window" label={t('breakerWindow')} placeholder={def('10s')} value={breaker.value?.window} onChange={(d) => breaker.edit((b) => void (d ? (b.window = d) : delete b.window))} />
          <DurationField field="breaker.open_for" label={t('breakerOpen')} placeholder={def('10s')} value={breaker.value?.openFor} onChange={(d) => breaker.edit((b) => void (d ? (b.openFor = d) : delete b.openFor))} />
        </div>
      </Switched>
      <Switched part="healthCheck" label={t('health')} hint={t('healthHint')} first={() => create(HealthCheckSchema, { path: '/' })}>
        <div className={classes.pair}>
          <TextField field="health_check.path" label={t('healthPath')} mono value={health.value?.path ?? ''} onChange={(v) => health.edit((h) => void (h.path = v))} />
          <StatusesField field="health_check.statuses" label={t('healthStatuses')} placeholder="200-299" value={health.value?.statuses ?? []} onChange={(l) => health.edit((h) => void (h.statuses = l))} />
          <DurationField field="health_check.interval" label={t('healthInterval')} placeholder={def('10s')} value={health.value?.interval} onChange={(d) => health.edit((h) => void (d ? (h.interval = d) : delete h.interval))} />
          <DurationField field="health_check.timeout" label={t('healthTimeout')} placeholder={def('5s')} value={health.value?.timeout} onChange={(d) => health.edit((h) => void (d ? (h.timeout = d) : delete h.timeout))} />
          <CountField field="health_check.unhealthy_after" label={t('healthDown')} placeholder={def('3')} max={100} value={health.value?.unhealthyAfter ?? 0} onChange={(n) => health.edit((h) => void (h.unhealthyAfter = n))} />
          <CountField field="health_check.healthy_after" label={t('healthUp')} placeholder={def('2')} max={100} value={health.value?.healthyAfter ?? 0} onChange={(n) => health.edit((h) => void (h.healthyAfter = n))} />
        </div>
      </Switched>
      <Switched part="outlierEjection" label={t('outlier')} hint={t('outlierHint')} first={() => create(OutlierEjectionSchema)}>
        <div className={classes.pair}>
          <CountField field="outlier_ejection.failures" label={t('outlierFailures')} placeholder={def('5')} max={1000} value={outlier.value?.failures ?? 0} onChange={(n) => outlier.edit((o) => void (o.failures = n))} />
          <DurationField field="outlier_ejection.eject_for" label={t('outlierFor')} placeholder={def('30s')} value={outlier.value?.ejectFor} onChange={(d) => outlier.edit((o) => void (d ? (o.ejectFor = d) : delete o.ejectFor))} />
          <CountField field="outlier_ejection.max_percent" label={t('outlierShare')} placeholder={def('50 %')} suffix=" %" max={100} value={outlier.value?.maxPercent ?? 0} onChange={(n) => outlier.edit((o) => void (o.maxPercent = n))} />
        </div>
      </Switched>
    </>
  );
}
