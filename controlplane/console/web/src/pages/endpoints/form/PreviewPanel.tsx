import { Loader, NativeSelect, TextInput } from '@mantine/core';
import { IconArrowRight } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import { CopyText } from '@/components/CopyText';
import { Failure, Lines, Soon } from '@/components/Region';
import { Status } from '@/components/Status';
import type { PreviewEndpointResponse } from '@/gen/tollgate/control/v1/endpoint_pb';
import type { ExplainedHeader, Explanation } from '@/gen/tollgate/control/v1/explain_pb';
import { nanos, short } from '@/lib/money';
import { t } from '@/text/endpoint-form';
import { useForm, type Wrong } from './context';
import { Message } from './Field';
import { refs } from './value';
import classes from './PreviewPanel.module.css';

const calls = 100n;
const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'];

export interface Test {
  method: string;
  path: string;
}

interface Query {
  data: PreviewEndpointResponse | undefined;
  error: unknown;
  refetch: () => unknown;
}

/** What the endpoint would do, as the code of the edges says. */
export function PreviewPanel({ query, current, test, onTest, notes }: { query: Query; current: boolean; test: Test; onTest: (test: Test) => void; notes: Wrong[] }) {
  const { draft } = useForm();
  const data = query.data;
  const unpriced = draft.price?.kind.case === 'fixed' && !draft.price.kind.value.perRequest;
  return (
    <section className={`card ${classes.panel}`} aria-label={t('preview')}>
      <div className={classes.head}>
        <h2>{t('preview')}</h2>
        {!current && !query.error ? <Loader size={14} aria-label={t('previewing')} /> : null}
      </div>
      {query.error ? <Failure error={query.error} retry={() => query.refetch()} /> : null}
      {data ? (
        <div className={classes.parts}>
          <Routes data={data} />
          <Part title={t('testPath')}>
            <div className={classes.test}>
              <NativeSelect aria-label={t('method')} size="xs" data={methods} value={test.method} onChange={(e) => onTest({ ...test, method: e.currentTarget.value })} w={92} />
              <TextInput
                aria-label={t('testPath')}
                size="xs"
                className={classes.grow}
                classNames={{ input: 'mono' }}
                value={test.path}
                placeholder={`${draft.path === '/' ? '' : draft.path || '/bria'}/v1/x?y=1`}
                onChange={(e) => onTest({ ...test, path: e.currentTarget.value })}
                autoComplete="off"
                spellCheck={false}
              />
            </div>
            {test.path && data.tries[0] ? <Outcome of={data.tries[0]} name={draft.name} /> : null}
          </Part>
          {data.headers.length ? <Part title={t('previewHeaders')}><Headers list={data.headers} /></Part> : null}
          {data.access ? <Part title={t('access')}>{data.access}</Part> : null}
          {data.price && !unpriced ? (
            <Part title={t('price')}>
              {data.price}
              <Calls />
            </Part>
          ) : null}
          {data.curl && data.routes.length ? (
            <Part title={t('curl')} aside={<CopyText value={data.curl} label={t('copyCurl')} iconOnly />}>
              <pre className={`mono ${classes.curl}`} tabIndex={0} role="region" aria-label={t('curl')}>{data.curl.replaceAll(' -H ', ' \\\n  -H ').replace(' -d ', ' \\\n  -d ')}</pre>
            </Part>
          ) : null}
          {notes.length ? (
            <Part title={t('notes', { n: notes.length })}>
              {notes.map((n) => <Message key={n.field + n.code + n.text} wrong={n} />)}
            </Part>
          ) : null}
        </div>
      ) : query.error ? null : (
        <div className={classes.parts}>
          <Soon>
            <Lines n={6} />
          </Soon>
        </div>
      )}
    </section>
  );
}

function Part({ title, aside, children }: { title: string; aside?: ReactNode; children: ReactNode }) {
  return (
    <div className={classes.part}>
      <div className={classes.partHead}>
        <h3>{title}</h3>
        {aside}
      </div>
      <div className={classes.partBody}>{children}</div>
    </div>
  );
}

function Routes({ data }: { data: PreviewEndpointResponse }) {
  if (!data.routes.length) return <div className={`dim ${classes.none}`}>{t('previewEmpty')}</div>;
  return (
    <table className={classes.routes} data-testid="preview-routes">
      <thead>
        <tr>
          <th scope="col">{t('requestTo')}</th>
          <th scope="col">{t('goesTo')}</th>
        </tr>
      </thead>
      <tbody>
        {data.routes.map((r) => (
          <tr key={r.path}>
            <td className="mono">{r.path}</td>
            <td className={`mono ${classes.to}`}>
              <IconArrowRight size={12} aria-hidden className={classes.arrow} />
              {r.url}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Outcome({ of, name }: { of: Explanation; name: string }) {
  const failed = of.steps.find((s) => !s.passed);
  if (of.admitted) {
    return (
      <div className={classes.outcome} aria-live="polite">
        <Status tone={of.endpoint === name ? 'ok' : 'warn'}>{of.endpoint}</Status>
        <span className="mono wrap"> → {of.url}</span>
        {of.price ? <div className="dim">{of.price}</div> : null}
      </div>
    );
  }
  return (
    <div className={classes.outcome} aria-live="polite">
      <Status tone="bad">{of.refusal ? `${of.refusal.status} ${of.refusal.code}` : t('refused')}</Status>
      <div>{of.refusal?.message || failed?.text}</div>
      {of.refusal?.hint ? <div className="dim">{of.refusal.hint}</div> : null}
    </div>
  );
}

// What the endpoint adds comes first, then what is taken away, and then what passes as it is.
function Headers({ list }: { list: ExplainedHeader[] }) {
  const added = list.filter((h) => !h.removed && h.origin !== 'caller');
  const removed = list.filter((h) => h.removed);
  const passed = list.filter((h) => !h.removed && h.origin === 'caller');
  return (
    <ul className={classes.plan}>
      {added.map((h) => (
        <li key={`+${h.name}`}>
          <span className="good" aria-hidden>{'+'}</span>
          <span>
            <span className="visually-hidden">{t('headerAdded')}</span>
            <span className="mono">{h.name}</span> <span className="dim wrap">{described(h)}</span>
          </span>
        </li>
      ))}
      {removed.map((h) => (
        <li key={`-${h.name}`}>
          <span className="bad" aria-hidden>{'−'}</span>
          <span>
            <span className="visually-hidden">{t('headerRemoved')}</span>
            <span className="mono">{h.name}</span> <span className="dim">{h.removed}</span>
          </span>
        </li>
      ))}
      {passed.length ? (
        <li>
          <span className="dim" aria-hidden>{'='}</span>
          <span className="dim">{t('passed', { names: passed.map((h) => h.name).join(', ') })}</span>
        </li>
      ) : null}
    </ul>
  );
}

function described(h: ExplainedHeader): string {
  const first = refs(h.value)[0];
  if (first?.kind === 'secret') return t('fromSecret', { name: first.name });
  if (first?.kind === 'env') return t('fromEnv', { name: first.name });
  return h.origin === 'gateway' ? t('fromGateway') : h.value;
}

function Calls() {
  const { draft } = useForm();
  const kind = draft.price?.kind;
  const each = kind?.case === 'fixed' ? nanos(kind.value.perRequest) : 0n;
  return each ? <span className="dim">{` · ${t('callsCost', { n: Number(calls), amount: short(each * calls) })}`}</span> : null;
}
