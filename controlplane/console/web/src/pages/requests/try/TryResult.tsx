import { Button, Loader, SegmentedControl, Tabs } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { useNow } from '@/app/clock';
import { Amount } from '@/components/Amount';
import { CopyText } from '@/components/CopyText';
import { Failure } from '@/components/Region';
import { Status } from '@/components/Status';
import type { Endpoint } from '@/gen/tollgate/control/v1/endpoint_pb';
import { nanos } from '@/lib/money';
import { took, span } from '@/lib/time';
import { storeSample } from '@/pages/endpoints/price/sample';
import { t } from '@/text/try';
import { type Act, causeOf, type EndpointFacts } from '../cause';
import { CauseNote } from '../Fixes';
import { ProbeResults } from '../ProbeResults';
import { ReplaceSecret } from '../ReplaceSecret';
import { Waterfall } from '../Waterfall';
import { text } from './body';
import { AnswerView } from './AnswerView';
import { CodeView } from './CodeView';
import type { Draft } from './draft';
import { headersOf } from './draft';
import { type Attempt, header, running } from './send';
import { SentView } from './SentView';
import { TraceView } from './TraceView';
import type { Purse } from './useWallet';
import classes from './Try.module.css';

const tabs = ['response', 'sent', 'trace', 'code'] as const;
type Tab = (typeof tabs)[number];

/** What the gateway answered itself, from the body that it sends. */
function gatewayError(a: Attempt): { code: string; message: string } | undefined {
  const seen = a.ended?.seen;
  if (seen) return seen.code ? { code: seen.code, message: seen.message } : undefined;
  try {
    const { error } = JSON.parse(text(a.body)) as { error?: { code?: string; message?: string; request_id?: string } };
    const own = error?.code && error.request_id && error.request_id === a.answered?.requestId;
    return own ? { code: error.code!, message: error.message ?? '' } : undefined;
  } catch {
    return undefined;
  }
}

/** What became of a request: phases as they happen, then status, time, cost and what to do where it failed. */
export function TryResult({
  attempt,
  endpoint,
  facts,
  purses,
  gateway,
  link,
  again,
  otherEdge,
  otherKey,
  explain,
}: {
  attempt: Attempt;
  endpoint: Endpoint;
  facts: EndpointFacts | undefined;
  purses: Purse[];
  gateway: string;
  link: (d: Draft) => string;
  again: (afterSeconds?: number) => void;
  otherEdge: (() => void) | undefined;
  otherKey: () => void;
  explain: () => void;
}) {
  const now = useNow();
  const navigate = useNavigate();
  const [tab, setTab] = useState<Tab>('response');
  const [replacing, setReplacing] = useState('');
  const [probing, setProbing] = useState(false);
  const { answered, ended, draft } = attempt;
  const seen = ended?.seen;

  if (attempt.error) return <div className={classes.result}><Failure error={attempt.error} retry={() => again()} /></div>;
  if (attempt.explanation) return <div className={classes.result}><TraceView explanation={attempt.explanation} dry /></div>;

  const own = gatewayError(attempt);
  const status = answered?.status ?? 0;
  const retryAfter = Number(header(attempt, 'retry-after')) || undefined;
  const unpriced = header(attempt, 'x-tollgate-cost') === 'unpriced' || (seen?.unpriced ?? false);
  const cause =
    ended &&
    causeOf(
      {
        status, code: own?.code ?? '', message: own?.message ?? '', path: attempt.path, key: draft.key, edge: attempt.started?.node ?? '', endpoint: facts,
        unpriced, retryAfter, error: ended.error || undefined,
      },
      now,
    );
  const keepSample = () =>
    storeSample(endpoint.name, {
      method: draft.method,
      path: draft.rest || '/',
      requestHeaders: headersOf(draft).map((h): [string, string] => [h.name, h.value]),
      requestBody: draft.body,
      status,
      headers: (answered?.headers ?? []).map((h): [string, string] => [h.name, h.value]),
      body: text(attempt.body),
      at: Date.now(),
    });
  const acts: Partial<Record<Act, (of: string) => void>> = {
    sendAgain: () => again(),
    waitAndSend: () => again(retryAfter),
    otherKey,
    showSent: () => setTab('sent'),
    explain,
    probe: () => setProbing(true),
    replaceSecret: setReplacing,
    price: () => {
      keepSample();
      void navigate({ to: '/endpoints/$name/$tab', params: { name: endpoint.name, tab: 'configure' }, search: { sel: 'price' } });
    },
    ...(otherEdge ? { otherEdge: () => otherEdge() } : {}),
  };
  const tone = status >= 500 || !status ? 'bad' : status >= 400 ? (own ? 'warn' : 'bad') : 'ok';
  const total = ended ? span(ended.total) : performance.now() - attempt.beganAt;
  return (
    <div className={classes.result} aria-live="polite">
      {running(attempt) || attempt.phase === 'canceled' ? (
        <div className={classes.phase}>
          {attempt.phase === 'canceled' ? (
            <Status tone="off">{attempt.started ? t('canceledCharged', { amount: t(`how_${endpoint.price?.kind.case ?? 'free'}`) }) : t('canceledSafe')}</Status>
          ) : (
            <>
              <Loader size={14} aria-hidden />
              {attempt.phase === 'waiting' ? t('phase_waiting', { edge: attempt.started?.node ?? '' }) : t(attempt.phase === 'sending' ? 'phase_sending' : 'phase_answering')}
            </>
          )}
        </div>
      ) : null}
      {attempt.tries > 1 ? <div className="dim">{t('behindRetry', { edge: attempt.started?.node ?? '', n: attempt.tries })}</div> : null}
      {answered || ended ? (
        <div className={classes.head}>
          <span className={classes.code}>
            <Status tone={tone}>{answered ? `${status} ${statusText(status)}` : t('result')}</Status>
          </span>
          {ended ? <span className="num">{t('total', { time: took(total) })}</span> : null}
          {ended ? <Cost attempt={attempt} endpoint={endpoint} unpriced={unpriced} /> : null}
          {answered?.requestId ? <CopyText value={answered.requestId} /> : null}
        </div>
      ) : null}
      {seen ? <Waterfall request={seen} /> : null}
      {ended ? (
        <div className={classes.facts}>
          {purses.length ? (
            <span>
              {t('budgetLeft')}{' '}
              {purses.map((p, i) => (
                <span key={p.budget.id}>
                  {i ? ' · ' : ''}
                  {t.rich('leftOf', { name: p.budget.name, left: <b><Amount value={p.state.remaining} /></b>, limit: <Amount value={p.state.limit} /> })}
                </span>
              ))}
            </span>
          ) : null}
          {attempt.started ? <span className="dim">{seen ? t('servedBy', { edge: attempt.started.node, revision: String(seen.revision) }) : attempt.started.node}</span> : null}
        </div>
      ) : null}
      {cause && cause.tone !== 'ok' ? (
        <CauseNote cause={cause} acts={acts} />
      ) : null}
      {answered || ended ? (
        <Tabs value={tab} onChange={(v) => setTab((v as Tab) ?? 'response')} keepMounted={false}>
          <div className={classes.tools}>
            <Tabs.List>
              {tabs.map((name) => (
                <Tabs.Tab key={name} value={name}>
                  {t(name)}
                </Tabs.Tab>
              ))}
            </Tabs.List>
            <div>
              {attempt.body.length ? (
                <Button
                  variant="subtle"
                  size="compact-xs"
                  onClick={() => {
                    keepSample();
                    notifications.show({ message: t('sampled') });
                  }}
                >
                  {t('asSample')}
                </Button>
              ) : null}
              <Button
                variant="subtle"
                size="compact-xs"
                onClick={() => {
                  void navigator.clipboard?.writeText(link(draft));
                  notifications.show({ message: t('linkCopied'), autoClose: 1500 });
                }}
              >
                {t('copyLink')}
              </Button>
            </div>
          </div>
          <Tabs.Panel value="response" pt={10}>
            <AnswerView headers={answered?.headers ?? []} body={attempt.body} cut={ended?.cut ?? false} />
          </Tabs.Panel>
          <Tabs.Panel value="sent" pt={10}>
            <SentView draft={draft} path={attempt.path} edge={attempt.started?.node ?? ''} />
          </Tabs.Panel>
          <Tabs.Panel value="trace" pt={10}>
            <SentView draft={draft} path={attempt.path} edge={attempt.started?.node ?? ''} trace />
          </Tabs.Panel>
          <Tabs.Panel value="code" pt={10}>
            <CodeView sample={{ method: draft.method, gateway, path: attempt.path, headers: headersOf(draft), body: draft.body, key: draft.key }} />
          </Tabs.Panel>
        </Tabs>
      ) : null}
      {replacing ? <ReplaceSecret name={replacing} close={() => setReplacing('')} /> : null}
      {probing ? <ProbeResults url={endpoint.targets[0]?.url ?? ''} endpoint={endpoint.name} close={() => setProbing(false)} /> : null}
    </div>
  );
}

function Cost({ attempt, endpoint, unpriced }: { attempt: Attempt; endpoint: Endpoint; unpriced: boolean }) {
  const kind = endpoint.price?.kind.case;
  const told = attempt.ended?.seen;
  const how = kind ? <span className="dim">{t('costHow', { how: t(`how_${kind}`) })}</span> : null;
  if (unpriced) return <Status tone="warn">{t('costUnpriced')}</Status>;
  if (told?.cost) {
    return (
      <span>
        <span className={classes.cost}>{t.rich('cost', { amount: <Amount value={nanos(told.cost)} /> })}</span> {how}
      </span>
    );
  }
  return <span className="dim">{kind === 'free' ? t('costFree') : t('costNothing')}</span>;
}

const reasons: Record<number, string> = {
  200: 'OK', 201: 'Created', 202: 'Accepted', 204: 'No Content', 301: 'Moved Permanently', 302: 'Found', 304: 'Not Modified', 400: 'Bad Request', 401: 'Unauthorized',
  402: 'Payment Required', 403: 'Forbidden', 404: 'Not Found', 405: 'Method Not Allowed', 408: 'Request Timeout', 409: 'Conflict', 413: 'Content Too Large',
  415: 'Unsupported Media Type', 422: 'Unprocessable Content', 429: 'Too Many Requests', 500: 'Internal Server Error', 502: 'Bad Gateway', 503: 'Service Unavailable', 504: 'Gateway Timeout',
};
const statusText = (status: number) => reasons[status] ?? '';

/** Which ways there are to look at the parts of an answer. */
export function ViewSwitch<V extends string>({ value, views, change, label }: { value: V; views: { value: V; label: string }[]; change: (v: V) => void; label: string }) {
  return <SegmentedControl aria-label={label} value={value} onChange={(v) => change(v as V)} data={views} />;
}
