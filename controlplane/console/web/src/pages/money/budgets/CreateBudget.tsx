import { Alert, Button, Drawer, NumberInput, Select, Stack, Text, TextInput, Tooltip } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQuery } from '@connectrpc/connect-query';
import { useEffect, useRef, useState } from 'react';
import { refresh } from '@/api/client';
import { problemOf, violationsOf } from '@/api/errors';
import { connection } from '@/api/live';
import { zone } from '@/app/preferences';
import { MoneyInput } from '@/components/MoneyInput';
import { Failure } from '@/components/Region';
import { BudgetService, Period } from '@/gen/tollgate/control/v1/budget_pb';
import { EndpointService } from '@/gen/tollgate/control/v1/endpoint_pb';
import { OverviewService } from '@/gen/tollgate/control/v1/overview_pb';
import { nanos } from '@/lib/money';
import { zoneId } from '@/lib/time';
import { t } from '@/text/money';
import { t as shell } from '@/text/shell';
import { calls } from './actions';
import classes from './Budgets.module.css';
import { type Draft, keep, nameOf, restore, toBudget } from './draft';
import { periodName, periods, periodText } from './facts';
import { ReachedField, WarnField, Warnings } from './RuleFields';
import { ScopeFields } from './ScopeFields';
import { warningsOf } from './warnings';

const zones = ['UTC', ...Intl.supportedValuesOf('timeZone').filter((z) => z !== 'UTC')];

/** A new budget: on what, how much, how often, and what happens then. */
export function CreateBudget({ onClose }: { onClose: () => void }) {
  const { online } = connection.use();
  const z = zone.use();
  const [draft, setDraft] = useState<Draft>(() => restore(zoneId(z)));
  const [agreed, setAgreed] = useState(false);
  const [asked, setAsked] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const form = useRef<HTMLFormElement>(null);
  const set = (more: Partial<Draft>) => {
    setDraft((d) => ({ ...d, ...more }));
    setAgreed(false);
    setError(undefined);
  };
  useEffect(() => {
    if (draft.scope.name || draft.amount !== undefined || draft.named) keep(draft);
  }, [draft]);

  const endpoint = useQuery(EndpointService.method.getEndpoint, { endpoint: draft.scope.name }, { enabled: draft.scope.kind === 'endpoint' && draft.scope.name !== '', retry: false });
  const kind = endpoint.data?.endpoint?.price?.kind;
  const price = draft.scope.kind === 'endpoint' && kind?.case === 'fixed' ? nanos(kind.value.perRequest) : undefined;
  const warnings = warningsOf(draft.amount, { soft: draft.soft, price, priceOf: draft.scope.name, period: periodText(draft.period, draft.days) });
  const problem = error ? problemOf(error) : undefined;
  const said = (field: string) => violationsOf(problem, `budget.${field}`)[0]?.text ?? violationsOf(problem, field)[0]?.text;
  const mine = {
    scope: asked && draft.scope.kind !== 'everything' && !draft.scope.name.trim() ? t('missing') : undefined,
    amount: asked && draft.amount === undefined ? t('amountMissing') : undefined,
  };
  const shownProblems = problem?.violations.length ?? 0;

  const focusWrong = () => requestAnimationFrame(() => form.current?.querySelector<HTMLElement>('[aria-invalid=true],[data-code] ~ * input')?.focus());
  const submit = async () => {
    setAsked(true);
    if ((draft.scope.kind !== 'everything' && !draft.scope.name.trim()) || draft.amount === undefined || (warnings.some((w) => w.confirm) && !agreed)) return focusWrong();
    setBusy(true);
    setError(undefined);
    try {
      const { budget } = await calls.createBudget({ budget: toBudget(draft) });
      keep(undefined);
      notifications.show({ message: t('created', { name: budget!.name }), autoClose: 4000 });
      onClose();
      await refresh(BudgetService, OverviewService);
    } catch (err) {
      setError(err);
      focusWrong();
    } finally {
      setBusy(false);
    }
  };
  return (
    <Drawer opened onClose={onClose} size="min(560px, 100vw)" title={<Text fw={600} component="span">{t('createTitle')}</Text>} closeButtonProps={{ 'aria-label': shell('close') }}>
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
          {shownProblems > 1 ? <Alert color="red" variant="outline" role="alert">{t('problems', { n: shownProblems })}</Alert> : null}
          <div className={classes.drawerGrid}>
            <ScopeFields value={draft.scope} onChange={(scope) => set({ scope })} error={mine.scope ?? said(draft.scope.kind)} />
            <MoneyInput label={t('limit')} value={draft.amount} onChange={(amount) => set({ amount })} error={mine.amount ?? said('amount')} />
            <Select
              label={t('every')}
              data={periods.map((p) => ({ value: String(p), label: t(`every_${periodName(p)}`) }))}
              value={String(draft.period)}
              onChange={(v) => v && set({ period: Number(v) as Period })}
              error={said('period')}
            />
            {draft.period === Period.ROLLING ? (
              <NumberInput label={t('days')} description={t('daysHint')} min={2} max={366} allowDecimal={false} value={draft.days} onChange={(v) => set({ days: Number(v) || 0 })} error={said('rolling_days')} />
            ) : null}
            {draft.period === Period.TOTAL ? null : (
              <Select label={t('timeZone')} description={draft.period === Period.ROLLING ? undefined : t('timeZoneHint')} searchable data={zones} value={draft.timeZone} onChange={(v) => v && set({ timeZone: v })} error={said('time_zone')} limit={200} />
            )}
          </div>
          <ReachedField soft={draft.soft} onChange={(soft) => set({ soft })} overdraft={draft.overdraft} onOverdraft={(overdraft) => set({ overdraft })} error={said('overdraft')} />
          <WarnField value={draft.warn} onChange={(warn) => set({ warn })} error={said('warn_percents')} />
          <TextInput
            label={t('name')}
            description={t('nameHint')}
            value={draft.named ? draft.name : nameOf(draft)}
            onChange={(e) => set({ name: e.currentTarget.value, named: e.currentTarget.value !== '' })}
            autoComplete="off"
            error={said('name')}
          />
          <Warnings warnings={warnings} agreed={agreed} onAgree={setAgreed} />
          {error && !shownProblems ? <Failure error={error} /> : null}
          <div className={classes.foot}>
            <Button variant="default" onClick={onClose}>{shell('cancel')}</Button>
            <Tooltip label={t('offline')} disabled={online}>
              <Button type="submit" loading={busy} disabled={!online}>{t('create')}</Button>
            </Tooltip>
          </div>
        </Stack>
      </form>
    </Drawer>
  );
}
