import { Alert, Button, Drawer, NumberInput, Select, Stack, Text, TextInput, Tooltip } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useRef, useState } from 'react';
import { clientOf, refresh } from '@/api/client';
import { problemOf, violationsOf } from '@/api/errors';
import { connection } from '@/api/live';
import { override } from '@/api/transport';
import { Failure } from '@/components/Region';
import { whole } from '@/lib/text';
import { type Limit, LimitFallback, LimitKind, LimitService } from '@/gen/tollgate/control/v1/limit_pb';
import { t } from '@/text/limits';
import { t as words } from '@/text/money';
import { t as shell } from '@/text/shell';
import classes from '../budgets/Budgets.module.css';
import { type Scope, scopeInput, scopeOf } from '../budgets/facts';
import { ScopeFields } from '../budgets/ScopeFields';
import { fallbackName, fallbacks, kindName, kinds, nameFor } from './words';

export const calls = clientOf(LimitService);

interface Values {
  scope: Scope;
  kind: LimitKind;
  amount: number | undefined;
  burst: number | undefined;
  fallback: LimitFallback;
  name: string;
}

const valuesOf = (l: Limit | undefined): Values =>
  l
    ? { scope: scopeOf(l), kind: l.kind, amount: whole(l.amount), burst: l.burst ? Number(l.burst) : undefined, fallback: l.fallback || LimitFallback.SHARE, name: l.name }
    : { scope: { kind: 'key', name: '' }, kind: LimitKind.REQUESTS, amount: undefined, burst: undefined, fallback: LimitFallback.SHARE, name: '' };

/** A new limit, or what can be changed of one that is there. */
export function LimitForm({ limit, onClose }: { limit?: Limit | undefined; onClose: () => void }) {
  const { online } = connection.use();
  const [v, setV] = useState<Values>(() => valuesOf(limit));
  const [asked, setAsked] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const form = useRef<HTMLFormElement>(null);
  const set = (more: Partial<Values>) => {
    setV((now) => ({ ...now, ...more }));
    setError(undefined);
  };
  const problem = error ? problemOf(error) : undefined;
  const said = (f: string) => violationsOf(problem, `limit.${f}`)[0]?.text ?? violationsOf(problem, f)[0]?.text;
  const scopeMissing = !limit && v.scope.kind !== 'everything' && !v.scope.name.trim();
  const name = v.name.trim() || nameFor(v.scope, v.kind);
  const minutes = v.kind !== LimitKind.CONCURRENT;
  const focusWrong = () => requestAnimationFrame(() => form.current?.querySelector<HTMLElement>('[aria-invalid=true]')?.focus());
  const submit = async () => {
    setAsked(true);
    if (scopeMissing || v.amount === undefined) return focusWrong();
    setBusy(true);
    setError(undefined);
    const amount = BigInt(v.amount);
    const burst = minutes ? BigInt(v.burst ?? 0) : 0n;
    try {
      if (limit) await calls.updateLimit({ limit: limit.id, etag: limit.etag, amount, ...(minutes ? { burst } : {}), fallback: v.fallback }, { headers: limit.managedBy ? override : {} });
      else await calls.createLimit({ limit: { name, scope: scopeInput({ ...v.scope, name: v.scope.name.trim() }), kind: v.kind, amount, burst, fallback: v.fallback } });
      notifications.show({ message: t(limit ? 'saved' : 'created', { name }), autoClose: 4000 });
      onClose();
      await refresh(LimitService);
    } catch (err) {
      setError(err);
      focusWrong();
    } finally {
      setBusy(false);
    }
  };
  return (
    <Drawer opened onClose={onClose} size="min(520px, 100vw)" title={<Text fw={600} component="span">{limit ? t('editTitle', { name: limit.name }) : t('createTitle')}</Text>} closeButtonProps={{ 'aria-label': shell('close') }}>
      <form
        ref={form}
        noValidate
        onSubmit={(e) => {
          e.preventDefault();
          void submit();
        }}
        onKeyDown={(e) => {
          if (e.key === 'Enter' && (e.metaKey || e.ctrlKey)) {
            e.preventDefault();
            void submit();
          }
        }}
      >
        <Stack gap="md">
          {problem && problem.violations.length > 1 ? <Alert color="red" variant="outline" role="alert">{words('problems', { n: problem.violations.length })}</Alert> : null}
          {limit?.managedBy ? <Text size="sm" className="warn">{shell('managedBy', { file: limit.managedBy })}</Text> : null}
          <div className={classes.drawerGrid}>
            {limit ? null : <ScopeFields value={v.scope} onChange={(scope) => set({ scope })} error={asked && scopeMissing ? words('missing') : said(v.scope.kind)} />}
            {limit ? null : (
              <Select label={t('kind')} data={kinds.map((k) => ({ value: String(k), label: t(`kind_${kindName(k)}`) }))} value={String(v.kind)} onChange={(k) => k && set({ kind: Number(k) as LimitKind })} error={said('kind')} />
            )}
            <NumberInput
              {...(limit ? { 'data-autofocus': true } : {})}
              label={limit ? t(`kind_${kindName(v.kind)}`) : t('amount')}
              min={0}
              max={1_000_000_000_000}
              allowDecimal={false}
              allowNegative={false}
              thousandSeparator=","
              hideControls
              value={v.amount ?? ''}
              onChange={(n) => set({ amount: n === '' ? undefined : Number(n) })}
              error={asked && v.amount === undefined ? t('amountMissing') : said('amount')}
            />
            {minutes ? (
              <NumberInput label={t('burst')} description={t('burstHint')} min={0} allowDecimal={false} allowNegative={false} thousandSeparator="," hideControls value={v.burst ?? ''} onChange={(n) => set({ burst: n === '' ? undefined : Number(n) })} error={said('burst')} />
            ) : null}
            <Select
              label={t('fallback')}
              description={t('fallbackHint')}
              data={fallbacks.map((f) => ({ value: String(f), label: t(`fallback_${fallbackName(f)}`) }))}
              value={String(v.fallback)}
              onChange={(f) => f && set({ fallback: Number(f) as LimitFallback })}
              error={said('fallback')}
            />
          </div>
          {v.kind === LimitKind.UNITS ? <Text size="xs" className="dim">{t('kindHint_units')}</Text> : null}
          {limit ? (
            <Text size="xs" className="dim">{t('fixed')}</Text>
          ) : (
            <TextInput label={t('name')} description={t('nameHint')} value={v.name || name} onChange={(e) => set({ name: e.currentTarget.value })} autoComplete="off" error={said('name')} />
          )}
          {v.amount === 0 ? <Alert color="yellow" variant="light">{t('zero')}</Alert> : null}
          {error && !problem?.violations.length ? <Failure error={error} /> : null}
          <div className={classes.foot}>
            <Button variant="default" onClick={onClose}>{shell('cancel')}</Button>
            <Tooltip label={words('offline')} disabled={online}>
              <Button type="submit" loading={busy} disabled={!online}>{limit ? t('save') : t('create')}</Button>
            </Tooltip>
          </div>
        </Stack>
      </form>
    </Drawer>
  );
}
