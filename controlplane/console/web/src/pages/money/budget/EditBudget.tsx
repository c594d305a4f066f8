import { Button, Drawer, Stack, Text, Tooltip } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useRef, useState } from 'react';
import { problemOf, violationsOf } from '@/api/errors';
import { connection } from '@/api/live';
import { type Choice, Conflict } from '@/components/Conflict';
import { MoneyInput } from '@/components/MoneyInput';
import { Failure } from '@/components/Region';
import { type Budget, type BudgetState, Enforcement } from '@/gen/tollgate/control/v1/budget_pb';
import { exact, money, nanos } from '@/lib/money';
import { t } from '@/text/budget';
import { t as words } from '@/text/money';
import { t as conflictWords } from '@/text/conflict';
import { t as shell } from '@/text/shell';
import { calls, headersFor, settled } from '../budgets/actions';
import classes from '../budgets/Budgets.module.css';
import { periodText, soft } from '../budgets/facts';
import { ReachedField, WarnField, Warnings } from '../budgets/RuleFields';
import { warningsOf } from '../budgets/warnings';

interface Values {
  amount: bigint | undefined;
  soft: boolean;
  overdraft: bigint | undefined;
  warn: number[];
}
type Field = keyof Values;
const fields = ['amount', 'soft', 'overdraft', 'warn'] as const;

const valuesOf = (b: Budget): Values => ({ amount: nanos(b.amount), soft: soft(b), overdraft: b.overdraft ? nanos(b.overdraft) : undefined, warn: b.warnPercents });
const same = (a: Values, b: Values, f: Field) => String(a[f]) === String(b[f]);
const labels: Record<Field, string> = { amount: t('limit'), soft: t('enforcement'), overdraft: t('overdraft'), warn: t('warnAt') };

function told(v: Values, f: Field): string {
  switch (f) {
    case 'amount':
      return v.amount === undefined ? '' : exact(v.amount);
    case 'soft':
      return v.soft ? words('soft') : words('hard');
    case 'overdraft':
      return v.overdraft === undefined ? t('noBound') : exact(v.overdraft);
    case 'warn':
      return v.warn.map((n) => `${n} %`).join(', ');
  }
}

/** Changes what can be changed of a budget; only what was changed is sent. */
export function EditBudget({ budget, state, price, onClose }: { budget: Budget; state: BudgetState | undefined; price?: bigint | undefined; onClose: () => void }) {
  const { online } = connection.use();
  // What was there when the drawer was opened: others' changes do not move it.
  const base = useRef(budget);
  const [values, setValues] = useState<Values>(() => valuesOf(budget));
  const [theirs, setTheirs] = useState<Budget>();
  const [agreed, setAgreed] = useState(false);
  const [asked, setAsked] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const before = valuesOf(base.current);
  const set = (more: Partial<Values>) => {
    setValues((v) => ({ ...v, ...more }));
    setAgreed(false);
    setError(undefined);
  };
  const changed = fields.filter((f) => !same(before, values, f) && (f !== 'overdraft' || values.soft));
  const raised = nanos(budget.raise?.by);
  const touched = changed.includes('amount') || changed.includes('soft');
  const warnings = touched ? warningsOf(values.amount === undefined ? undefined : values.amount + raised, { soft: values.soft, spent: nanos(state?.spent), price, priceOf: budget.scope.case === 'endpoint' ? budget.scope.value : '', period: periodText(budget.period, budget.rollingDays) }) : [];
  const problem = error ? problemOf(error) : undefined;
  const said = (f: string) => violationsOf(problem, f)[0]?.text;

  const send = async (v: Values, from: Budget, what: readonly Field[]) => {
    setBusy(true);
    setError(undefined);
    try {
      const saved = await calls.updateBudget(
        {
          budget: from.id,
          etag: from.etag,
          ...(what.includes('amount') && v.amount !== undefined ? { amount: money(v.amount) } : {}),
          ...(what.includes('soft') ? { enforcement: v.soft ? Enforcement.SOFT : Enforcement.HARD } : {}),
          ...(what.includes('overdraft') && v.soft ? { overdraft: v.overdraft === undefined ? {} : { amount: money(v.overdraft) } } : {}),
          ...(what.includes('warn') ? { warnPercents: { percents: v.warn } } : {}),
        },
        headersFor(from),
      );
      notifications.show({ message: t('saved', { name: from.name }), autoClose: 4000 });
      onClose();
      const limit = nanos(saved.budget?.amount) + nanos(saved.budget?.raise?.by);
      // A limit that is lowered under what edges hold ends at that, so the old one going is enough.
      const old = nanos(from.amount) + nanos(from.raise?.by);
      await settled(from.id, (l) => l === limit || (l !== old && limit !== old));
    } catch (err) {
      if (problemOf(err).code === 'stale_etag') setTheirs((await calls.getBudget({ budget: from.id })).budget);
      else setError(err);
    } finally {
      setBusy(false);
    }
  };
  const submit = () => {
    setAsked(true);
    if (values.amount === undefined || (warnings.some((w) => w.confirm) && !agreed)) return;
    if (!changed.length) return onClose();
    void send(values, base.current, changed);
  };
  const now = theirs ? valuesOf(theirs) : undefined;
  const differ = now ? fields.filter((f) => !same(before, now, f) || !same(before, values, f)) : [];
  return (
    <Drawer opened onClose={onClose} size="min(520px, 100vw)" title={<Text fw={600} component="span">{t('editTitle', { name: budget.name })}</Text>} closeButtonProps={{ 'aria-label': shell('close') }}>
      <form
        noValidate
        onSubmit={(e) => {
          e.preventDefault();
          submit();
        }}
        onKeyDown={(e) => {
          if (e.key === 'Enter' && (e.metaKey || e.ctrlKey)) {
            e.preventDefault();
            submit();
          }
        }}
      >
        <Stack gap="md">
          {budget.managedBy ? <Text size="sm" className="warn">{shell('managedBy', { file: budget.managedBy })}</Text> : null}
          <MoneyInput data-autofocus label={t('limit')} value={values.amount} onChange={(amount) => set({ amount })} error={said('amount') ?? (asked && values.amount === undefined ? words('amountMissing') : undefined)} />
          <ReachedField soft={values.soft} onChange={(s) => set({ soft: s })} overdraft={values.overdraft} onOverdraft={(overdraft) => set({ overdraft })} error={said('overdraft')} />
          <WarnField value={values.warn} onChange={(warn) => set({ warn })} error={said('warn_percents')} />
          <Text size="xs" className="dim">{t('fixed')}</Text>
          <Warnings warnings={warnings} agreed={agreed} onAgree={setAgreed} />
          {error && !problem?.violations.length ? <Failure error={error} /> : null}
          <div className={classes.foot}>
            <Button variant="default" onClick={onClose}>{shell('cancel')}</Button>
            <Tooltip label={words('offline')} disabled={online}>
              <Button type="submit" loading={busy} disabled={!online}>{t('save')}</Button>
            </Tooltip>
          </div>
        </Stack>
      </form>
      {theirs && now ? (
        <Conflict
          who={conflictWords('changed')}
          fields={differ.map((f) => {
            const mine = !same(before, values, f);
            const others = !same(before, now, f);
            return { field: f, label: labels[f], base: told(before, f), theirs: told(now, f), mine: told(values, f), both: mine && others && !same(values, now, f), taken: mine ? 'mine' : 'theirs' };
          })}
          onResolve={async (choices: Record<string, Choice>) => {
            const merged = { ...now };
            for (const f of fields) if (choices[f] === 'mine') Object.assign(merged, { [f]: values[f] });
            const from = theirs;
            setTheirs(undefined);
            base.current = from;
            setValues(merged);
            await send(merged, from, fields.filter((f) => !same(now, merged, f)));
          }}
          onClose={() => setTheirs(undefined)}
        />
      ) : null}
    </Drawer>
  );
}
