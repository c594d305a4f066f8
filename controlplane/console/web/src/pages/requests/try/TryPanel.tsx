import { useQuery } from '@connectrpc/connect-query';
import { Button, Group, Text } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useSearch } from '@tanstack/react-router';
import { useCallback, useEffect, useRef, useState } from 'react';
import { fleet } from '@/api/live';
import { Permission, useCaller } from '@/api/caller';
import { useOnline } from '@/app/Offline';
import { Amount } from '@/components/Amount';
import { AsOf } from '@/components/When';
import { Failure, Lines, Soon } from '@/components/Region';
import { basePath } from '@/boot';
import type { Endpoint } from '@/gen/tollgate/control/v1/endpoint_pb';
import { ExplainService } from '@/gen/tollgate/control/v1/explain_pb';
import { EndpointService } from '@/gen/tollgate/control/v1/endpoint_pb';
import { KeyService } from '@/gen/tollgate/control/v1/key_pb';
import { nanos } from '@/lib/money';
import { t } from '@/text/try';
import { useEndpointFacts } from '../useEndpointFacts';
import { useGateway } from '../useGateway';
import { consoleKey, decode, type Draft, emptyDraft, encode, target } from './draft';
import { remember, tries } from './history';
import { type Attempt, running, useTry } from './send';
import { explainInput } from './SentView';
import { TryForm } from './TryForm';
import { TryResult } from './TryResult';
import { limitFor, makeConsoleKey, useWallet } from './useWallet';
import classes from './Try.module.css';

/** Where a request is written, sent through an edge on behalf of a key, and followed to its end. */
export function TryPanel({ endpoint: name, initial, sendAtOnce }: { endpoint: string; initial?: Draft | undefined; sendAtOnce?: boolean }) {
  const found = useQuery(EndpointService.method.getEndpoint, { endpoint: name });
  if (found.error && !found.data) return <Failure error={found.error} retry={() => void found.refetch()} />;
  const endpoint = found.data?.endpoint;
  if (!endpoint) {
    return (
      <Soon>
        <Lines n={6} />
      </Soon>
    );
  }
  return <Panel key={endpoint.id} endpoint={endpoint} initial={initial} sendAtOnce={sendAtOnce ?? false} />;
}

function Panel({ endpoint, initial, sendAtOnce }: { endpoint: Endpoint; initial: Draft | undefined; sendAtOnce: boolean }) {
  const { may } = useCaller();
  const online = useOnline();
  const search: { try?: string } = useSearch({ strict: false });
  const [draft, setDraft] = useState<Draft>(() => {
    const linked = initial ?? (search.try ? decode(search.try) : undefined) ?? tries(endpoint.name)[0]?.draft;
    return linked ?? { ...emptyDraft, method: endpoint.methods[0] ?? 'POST' };
  });
  const form = useRef<HTMLDivElement>(null);
  const [making, setMaking] = useState(false);
  const [failed, setFailed] = useState<unknown>();
  const { facts } = useEndpointFacts(endpoint.name);
  const gateway = useGateway();
  const edges = (fleet.use()?.nodes ?? []).map((n) => n.id);
  const keys = useQuery(KeyService.method.listKeys, { pageSize: 500, filter: 'status:active,rotating,expiring' }, { enabled: may(Permission.KEYS_READ) });
  const wallet = useWallet(endpoint.name, draft.key);
  const { settle } = wallet;
  const ended = useCallback(
    (a: Attempt) => {
      if (a.phase === 'explained') return;
      remember(endpoint.name, a.draft, a.answered?.status ?? 0, Date.now());
      settle();
    },
    [endpoint.name, settle],
  );
  const { attempt, send, cancel } = useTry(endpoint.path, endpoint.revision, ended);
  const busy = running(attempt) || making;

  const [asked] = useDebouncedValue(draft, 300);
  const path = target(endpoint.path, asked);
  const explained = useQuery(
    ExplainService.method.explain,
    explainInput(wallet.absent ? { ...asked, key: '' } : asked, path, asked.edge),
    { enabled: online, retry: false, staleTime: 5_000 },
  );
  const told = explained.data?.explanation;
  const price = told?.hold ? nanos(told.hold) : endpoint.price?.kind.case === 'fixed' ? nanos(endpoint.price.kind.value.perRequest) : undefined;

  const go = async (dryRun: boolean, with_: Draft = draft) => {
    if (busy || !online || !may(Permission.TRY)) return;
    setFailed(undefined);
    if (wallet.absent && with_.key === consoleKey) {
      setMaking(true);
      try {
        await makeConsoleKey(price);
      } catch (err) {
        setFailed(err);
        return;
      } finally {
        setMaking(false);
      }
    }
    await send(with_, dryRun);
  };
  const [wait, setWait] = useState<ReturnType<typeof setTimeout>>();
  useEffect(() => () => clearTimeout(wait), [wait]);
  const first = useRef(sendAtOnce);
  const latest = useRef(go);
  latest.current = go;
  useEffect(() => {
    if (!first.current) return;
    first.current = false;
    void latest.current(false);
  }, []);

  const options = [
    ...(endpoint.access?.kind.case === 'public' ? [{ value: '', label: t('noKey') }] : []),
    ...(keys.data?.keys.some((k) => k.name === consoleKey) ? [] : [{ value: consoleKey, label: wallet.absent ? t('keyNew', { name: consoleKey }) : consoleKey }]),
    ...(keys.data?.keys ?? []).map((k) => ({ value: k.name, label: k.name })),
  ];
  if (draft.key && !options.some((o) => o.value === draft.key)) options.push({ value: draft.key, label: draft.key });
  const why = !may(Permission.TRY) ? t('mayNot') : !online ? t('offline') : undefined;
  return (
    <div ref={form}>
      <TryForm
        endpoint={endpoint.name}
        base={endpoint.path}
        targets={endpoint.targets.map((x) => x.url)}
        methods={endpoint.methods}
        keys={options}
        edges={edges}
        draft={draft}
        change={setDraft}
        submit={() => void go(false)}
      >
        <div className={classes.bar}>
          <Text size="sm" component="div" aria-live="polite">
            {why ?? <Charge endpoint={endpoint} draft={draft} price={price} left={wallet.left} absent={wallet.absent} refusal={wallet.absent ? undefined : told?.refusal?.message} />}
          </Text>
          <Group gap={8} wrap="nowrap">
            <Button variant="default" size="sm" disabled={!!why || busy} title={why} onClick={() => void go(true)}>
              {t('dryRun')}
            </Button>
            {running(attempt) ? (
              <Button size="sm" color="red" variant="light" onClick={cancel}>
                {t('cancel')}
              </Button>
            ) : (
              <Button size="sm" type="submit" disabled={!!why} title={why} loading={making} rightSection={<span aria-hidden>{navigator.platform.startsWith('Mac') ? '⌘↵' : '^↵'}</span>}>
                {t('send')}
              </Button>
            )}
          </Group>
        </div>
      </TryForm>
      {failed ? <Failure error={failed} retry={() => void go(false)} /> : null}
      {attempt ? (
        <TryResult
          attempt={attempt}
          endpoint={endpoint}
          facts={facts}
          purses={wallet.purses}
          gateway={gateway}
          link={(d) => `${location.origin}${basePath}endpoints/${endpoint.name}/try?try=${encode(d)}`}
          again={(seconds) => {
            if (seconds) setWait(setTimeout(() => void latest.current(false, attempt.draft), seconds * 1000));
            else void go(false, attempt.draft);
          }}
          otherEdge={
            edges.length > 1
              ? () => {
                  const other = { ...attempt.draft, edge: edges.find((e) => e !== attempt.started?.node) ?? '' };
                  setDraft(other);
                  void go(false, other);
                }
              : undefined
          }
          otherKey={() => form.current?.querySelector<HTMLInputElement>(`[aria-label="${t('asKey')}"]`)?.focus()}
          explain={() => void go(true, attempt.draft)}
        />
      ) : (
        <div className={classes.result}>
          <Text size="sm" className="dim">
            {t('empty')}
          </Text>
        </div>
      )}
      {may(Permission.MONEY_READ) ? (
        <div className={classes.spent} style={{ marginTop: 16 }} aria-live="polite">
          <span>{t('spentToday', { name: endpoint.name })}</span>
          <Group gap={10}>
            <AsOf at={wallet.asOf} />
            <b>
              <Amount value={wallet.spent} />
            </b>
          </Group>
        </div>
      ) : null}
    </div>
  );
}

/** What a click on Send will cost, and whom. */
function Charge({ endpoint, draft, price, left, absent, refusal }: { endpoint: Endpoint; draft: Draft; price: bigint | undefined; left: bigint | undefined; absent: boolean; refusal: string | undefined }) {
  const key = <b>{draft.key}</b>;
  if (refusal) return <span className="warn">{t('refusedNow', { why: refusal })}</span>;
  if (endpoint.price?.kind.case === 'free') return t('chargeFree');
  if (!draft.key) return t('chargeNobody');
  if (price === undefined) return t.rich('chargeUnknown', { key });
  const amount = <b><Amount value={price} /></b>;
  if (absent && draft.key === consoleKey) return t.rich('firstTry', { amount, key, limit: <Amount value={limitFor(price)} /> });
  if (left === undefined) return t.rich('chargeNoBudget', { amount, key });
  return t.rich('charge', { amount, key, left: <Amount value={left} /> });
}
