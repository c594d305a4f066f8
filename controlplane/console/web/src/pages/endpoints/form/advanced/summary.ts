// What of the settings that most endpoints leave alone is not as it would be.

import { Abandoned, type Endpoint, ForwardHeaders } from '@/gen/tollgate/control/v1/endpoint_pb';
import { t } from '@/text/endpoint-form';
import { bytesText, durationText } from '../duration';

export function differences(e: Endpoint): string[] {
  const out: string[] = [];
  const add = (yes: unknown, text: string) => void (yes && out.push(text));
  const usual = durationText(e.timeout) === '10m';
  add(e.forwardHeaders === ForwardHeaders.ALL, t('sumForwardAll'));
  add(e.forwardHeaders === ForwardHeaders.NONE, t('sumForwardNone'));
  add(e.hostHeader && e.hostHeader.kind.case !== 'target', t('sumHost', { value: e.hostHeader?.kind.case === 'text' ? e.hostHeader.kind.value : t('hostCaller') }));
  add(e.keyHeader, t('sumKeyHeader', { value: e.keyHeader }));
  add(e.passHeaders, t('sumPass'));
  add(e.forwardTraceContext, t('sumTrace'));
  add(e.timeouts?.connect, t('sumConnect', { value: durationText(e.timeouts?.connect) }));
  add(e.timeout && !usual, t('sumFirst', { value: durationText(e.timeout) }));
  add(e.timeouts?.idle, t('sumIdle', { value: durationText(e.timeouts?.idle) }));
  add(e.timeouts?.total, t('sumTotal', { value: durationText(e.timeouts?.total) }));
  add(e.maxBodyBytes, t('sumBody', { value: bytesText(e.maxBodyBytes) }));
  add(e.abandoned === Abandoned.METERED || e.abandoned === Abandoned.NOTHING, t('sumAbandoned'));
  add(e.targets.length > 1, t('sumTargets', { n: e.targets.length }));
  add(e.targets.some((x) => x.tls || x.httpVersion), t('sumConnections'));
  add(e.credentials.length, t('sumCredentials', { n: e.credentials.length }));
  add(e.retry, t('sumRetry', { n: e.retry?.attempts ?? 0 }));
  add(e.hedge, t('sumHedge', { value: durationText(e.hedge?.after) }));
  add(e.breaker, t('sumBreaker'));
  add(e.healthCheck, t('sumHealth', { value: e.healthCheck?.path ?? '' }));
  add(e.outlierEjection, t('sumOutlier'));
  add(e.awsSigning, t('sumAws', { value: e.awsSigning?.service ?? '' }));
  add(e.models, t('sumModels'));
  add(e.description, t('sumDescription'));
  add(e.disabled && !e.id, t('sumDisabled'));
  return out;
}
