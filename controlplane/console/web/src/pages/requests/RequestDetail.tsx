import { useQuery } from '@connectrpc/connect-query';
import { Anchor, Button, Group, Stack } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { Link, useNavigate } from '@tanstack/react-router';
import { type ReactNode, useState } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { useNow } from '@/app/clock';
import { useKeys } from '@/app/keys';
import { zone } from '@/app/preferences';
import { basePath } from '@/boot';
import { Amount } from '@/components/Amount';
import { CopyText } from '@/components/CopyText';
import { Region } from '@/components/Region';
import { Chip, Status } from '@/components/Status';
import { When } from '@/components/When';
import { type GetRequestResponse, RequestService } from '@/gen/tollgate/control/v1/request_pb';
import { nanos } from '@/lib/money';
import { count } from '@/lib/text';
import { absolute, millis, preciseClock, took } from '@/lib/time';
import { t } from '@/text/requests';
import { type Act, causeOf } from './cause';
import { ExplainNow } from './ExplainNow';
import { CauseNote } from './Fixes';
import { ProbeResults } from './ProbeResults';
import { Charges } from './Charges';
import { Records } from './Records';
import { ReplaceSecret } from './ReplaceSecret';
import { fromRecord, fromSeen, type Row } from './rows';
import { toneOf } from './RequestTable';
import { curl } from './try/code';
import { emptyDraft } from './try/draft';
import { tries } from './try/history';
import { openTry } from './try/TryDrawer';
import { useEndpointFacts } from './useEndpointFacts';
import { useGateway } from './useGateway';
import { Waterfall } from './Waterfall';
import classes from './Detail.module.css';

/** How soon the ledger has booked what an edge has just told. */
const bookedWithin = 10_000;

/** All that is known of one request, and what can be done with it. */
export function RequestDetail({ id, page }: { id: string; page?: boolean }) {
  const query = useQuery(
    RequestService.method.getRequest,
    { requestId: id },
    {
      retry: false,
      refetchInterval: (q) => {
        const d = q.state.data as GetRequestResponse | undefined;
        const ended = millis(d?.seen?.time);
        return d && !d.records.length && ended !== undefined && Date.now() - ended < bookedWithin ? 1000 : false;
      },
    },
  );
  return (
    <Region query={query} skeleton={8}>
      {(data) => <Detail id={id} data={data} page={page ?? false} />}
    </Region>
  );
}

function Detail({ id, data, page }: { id: string; data: GetRequestResponse; page: boolean }) {
  const { seen, records } = data;
  const last = records.filter((r) => !r.corrects).at(-1);
  const row: Row | undefined = seen ? fromSeen(seen) : last ? fromRecord(last) : undefined;
  const z = zone.use();
  const now = useNow();
  const navigate = useNavigate();
  const { may } = useCaller();
  const gateway = useGateway();
  const { endpoint, facts } = useEndpointFacts(row?.endpoint ?? '');
  const [replacing, setReplacing] = useState('');
  const [probing, setProbing] = useState(false);
  const [explaining, setExplaining] = useState(false);
  // In a list whose address says what is open, it is sent with its filters.
  const link = new URLSearchParams(location.search).get('sel') === id ? location.href : `${location.origin}${basePath}requests/${id}`;
  const copy = (text: string, message: string) => {
    void navigator.clipboard?.writeText(text);
    notifications.show({ message, autoClose: 1500 });
  };
  useKeys({ '.': () => copy(id, t('idCopied')) });
  if (!row) return null;

  const path = seen?.path ?? '';
  const cause = causeOf(
    {
      status: row.status, code: row.code, message: seen?.message ?? '', path, key: row.keyName, edge: row.edge, endpoint: facts,
      unpriced: records.length ? records.some((r) => r.unpriced) && !records.some((r) => r.corrects) : row.flags.includes('unpriced'), outcome: last?.outcome,
    },
    now,
  );
  const again = endpoint
    ? () => {
        const rest = path.startsWith(endpoint.path) ? path.slice(endpoint.path.replace(/\/$/, '').length) : '';
        // The body is known only where it was tried from here.
        const before = tries(endpoint.name).find((x) => x.draft.rest.split('?')[0] === rest && (!row.method || x.draft.method === row.method));
        openTry(endpoint.name, { ...(before?.draft ?? { ...emptyDraft, method: row.method || (endpoint.methods[0] ?? 'POST'), rest }), ...(row.keyName ? { key: row.keyName } : {}), edge: '' });
      }
    : undefined;
  const acts: Partial<Record<Act, (of: string) => void>> = {
    ...(again && may(Permission.TRY) ? { sendAgain: again, otherKey: again, showSent: again } : {}),
    ...(path ? { explain: () => setExplaining(true) } : {}),
    ...(may(Permission.SECRETS_WRITE) ? { replaceSecret: setReplacing } : {}),
    ...(endpoint?.targets.length ? { probe: () => setProbing(true) } : {}),
    ...(endpoint ? { price: () => void navigate({ to: '/endpoints/$name/$tab', params: { name: endpoint.name, tab: 'configure' }, search: { sel: 'price' } }) } : {}),
  };
  return (
    <Stack gap={16}>
      <div className={classes.head}>
        <span className={classes.code}>
          <Status tone={toneOf(row.status)}>{row.status || t('noAnswer')}</Status>
        </span>
        <span className={`mono wrap ${classes.path}`}>{path ? `${row.method} ${path}` : row.endpoint}</span>
        {row.code ? <Chip tone="warn">{row.code}</Chip> : null}
      </div>
      <CauseNote cause={cause} acts={acts} />
      <Group gap={8}>
        <Button size="compact-sm" variant="default" onClick={again} disabled={!again || !may(Permission.TRY)}>
          {t('sendAgain')}
        </Button>
        <Button
          size="compact-sm"
          variant="default"
          disabled={!path}
          onClick={() => copy(curl({ method: row.method || 'POST', gateway, path, headers: [], body: '', key: row.keyName }), t('curlCopied'))}
        >
          {t('copyCurl')}
        </Button>
        <Button size="compact-sm" variant="default" aria-expanded={explaining} disabled={!path} onClick={() => setExplaining((x) => !x)}>
          {t('explain')}
        </Button>
        <Button size="compact-sm" variant="default" onClick={() => copy(link, t('linkCopied'))}>
          {t('copyLink')}
        </Button>
        {page ? null : (
          <Anchor size="sm" component={Link} to={`/requests/${id}`}>
            {t('openPage')}
          </Anchor>
        )}
      </Group>
      {explaining ? (
        <Part title={t('explainTitle')}>
          <ExplainNow method={row.method || 'POST'} path={path} keyName={row.keyName} edge="" />
        </Part>
      ) : null}
      <Part title={t('waterfall')} beside={<span className="num">{took(row.total)}</span>}>
        {seen ? <Waterfall request={seen} /> : <span className="dim">{t('noPhases', { total: took(row.total) })}</span>}
      </Part>
      <Part title={t('priceLines')} beside={records.length ? <b><Amount value={records.reduce((sum, r) => sum + nanos(r.cost), 0n)} /></b> : row.cost === undefined ? undefined : <b><Amount value={row.cost} /></b>}>
        <Charges records={records} seen={seen} now={now} />
      </Part>
      {records.length ? (
        <Part title={t('records')}>
          <Records records={records} />
        </Part>
      ) : null}
      <Part title={t('facts')}>
        <dl className={classes.facts}>
          <Fact name={t('requestId')}>
            <span className="mono">{id}</span> <CopyText value={id} iconOnly />
          </Fact>
          <Fact name={t('time')}>
            <span className="num">{preciseClock(row.time, z)}</span> <span className="dim">{absolute(row.time, z)}</span> <When at={row.time} />
          </Fact>
          <Fact name={t('endpoint')}>{row.endpoint ? <Anchor size="sm" component={Link} to={`/endpoints/${row.endpoint}/overview`}>{row.endpoint}</Anchor> : '–'}</Fact>
          <Fact name={t('key')}>{row.keyName ? <Anchor size="sm" component={Link} to={`/keys/${row.keyName}`}>{row.keyName}</Anchor> : '–'}</Fact>
          {row.team ? <Fact name={t('team')}><Anchor size="sm" component={Link} to={`/teams/${row.team}`}>{row.team}</Anchor></Fact> : null}
          <Fact name={t('edge')}>
            <Anchor size="sm" component={Link} to={`/edges/${row.edge}`}>{row.edge}</Anchor>
            {seen ? <span className="dim">{` · ${t('revision')} ${seen.revision}`}</span> : null}
          </Fact>
          {seen?.attempts ? <Fact name={t('attempts')}>{count(seen.attempts)}</Fact> : null}
          {seen?.deployment || last?.deployment ? <Fact name={t('model')}>{seen?.deployment || last?.deployment}</Fact> : null}
          {seen?.customer || last?.customer ? <Fact name={t('customer')}>{seen?.customer || last?.customer}</Fact> : null}
          {(seen?.tags ?? last?.tags ?? []).length ? <Fact name={t('tags')}>{(seen?.tags ?? last?.tags ?? []).join(', ')}</Fact> : null}
          {seen ? <Fact name={t('bytes')}>{t('bytesText', { sent: count(seen.requestBytes), received: count(seen.responseBytes) })}</Fact> : null}
          {seen?.address ? <Fact name={t('callerAddress')}><span className="mono">{seen.address}</span></Fact> : null}
          {seen ? <Fact name={t('source')}>{seen.source || t('sourceCaller')}</Fact> : null}
          {last?.job ? <Fact name={t('job')}>{`${last.job} ${last.jobState}`}</Fact> : null}
        </dl>
        <div className={classes.note}>
          {seen ? t('headersNote') : t('notKept')}{' '}
          {endpoint && may(Permission.AUDIT_READ) ? (
            <Anchor size="xs" component={Link} to="/audit" search={{ q: `object:${endpoint.name}` } as never}>
              {t('related')}
            </Anchor>
          ) : null}
        </div>
      </Part>
      {replacing ? <ReplaceSecret name={replacing} close={() => setReplacing('')} /> : null}
      {probing && endpoint ? <ProbeResults url={endpoint.targets[0]?.url ?? ''} endpoint={endpoint.name} close={() => setProbing(false)} /> : null}
    </Stack>
  );
}

function Part({ title, beside, children }: { title: string; beside?: ReactNode; children: ReactNode }) {
  return (
    <section className={classes.part}>
      <div className={classes.partHead}>
        <h3>{title}</h3>
        {beside}
      </div>
      {children}
    </section>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}
