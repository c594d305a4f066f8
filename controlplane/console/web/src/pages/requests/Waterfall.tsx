import type { SeenRequest } from '@/gen/tollgate/control/v1/request_pb';
import { list } from '@/lib/text';
import { span, took } from '@/lib/time';
import { t } from '@/text/requests';
import classes from './Waterfall.module.css';

export interface Step {
  id: 'gateway' | 'dns' | 'connect' | 'tls' | 'first' | 'body';
  ms: number;
}

const labels: Record<Step['id'], string> = {
  gateway: t('stepGateway'),
  dns: t('stepDns'),
  connect: t('stepConnect'),
  tls: t('stepTls'),
  first: t('stepFirst'),
  body: t('stepBody'),
};

/** Where the time of a request went, in the order in which it did. */
export function stepsOf(r: SeenRequest): Step[] {
  const out: Step[] = [{ id: 'gateway', ms: span(r.gateway) }];
  if (!r.upstream) return out;
  const first = span(r.firstByte);
  let setup = 0;
  for (const id of ['dns', 'connect', 'tls'] as const) {
    const ms = span(r[id]);
    if (ms <= 0 || setup + ms > first) continue; // of a connection that another attempt has made
    setup += ms;
    out.push({ id, ms });
  }
  out.push({ id: 'first', ms: Math.max(first - setup, 0) }, { id: 'body', ms: Math.max(span(r.upstream) - first, 0) });
  return out;
}

/** One bar, divided by what took how long, with the times below it. */
export function Waterfall({ request }: { request: SeenRequest }) {
  const steps = stepsOf(request);
  const total = steps.reduce((sum, s) => sum + s.ms, 0);
  const told = list(steps.map((s) => `${labels[s.id]} ${took(s.ms)}`));
  return (
    <div>
      <div className={classes.bar} role="img" aria-label={t('waterfallLabel', { total: took(total), steps: told })}>
        {steps.map((s) => (
          <span key={s.id} className={classes.part} data-step={s.id} style={{ flexGrow: total > 0 ? Math.max(s.ms / total, 0.004) : 1 }} />
        ))}
      </div>
      <ul className={classes.legend}>
        {steps.map((s) => (
          <li key={s.id}>
            <span aria-hidden className={classes.swatch} data-step={s.id} />
            {labels[s.id]} <b className="num">{took(s.ms)}</b>
          </li>
        ))}
      </ul>
      {request.upstream && !request.connect ? <div className={classes.note}>{t('reused')}</div> : null}
    </div>
  );
}
