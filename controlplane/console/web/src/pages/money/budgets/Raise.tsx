import { Button, Checkbox, Group, Popover, SegmentedControl, Stack, Text, Tooltip } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { type ReactNode, useState } from 'react';
import { problemOf, violationsOf } from '@/api/errors';
import { connection } from '@/api/live';
import { MoneyInput } from '@/components/MoneyInput';
import { Failure } from '@/components/Region';
import type { Budget, BudgetState } from '@/gen/tollgate/control/v1/budget_pb';
import { dollar, exact, nanos, short } from '@/lib/money';
import { t } from '@/text/money';
import { endRaise, limitTold, raise } from './actions';
import { limitOf, resets, untilText } from './facts';
import classes from './Budgets.module.css';

/** A button that gives a budget more: by an amount or up to one, until its period ends or for good. */
export function Raise({ budget, state, primary, startOpen, onClose, children }: { budget: Budget; state: BudgetState | undefined; primary?: boolean; startOpen?: boolean; onClose?: () => void; children?: ReactNode }) {
  const { online } = connection.use();
  const [opened, setOpened] = useState(startOpen ?? false);
  const turn = (on: boolean) => {
    setOpened(on);
    if (!on) onClose?.();
  };
  return (
    <Popover opened={opened} onChange={turn} position="bottom-end" shadow="md" trapFocus returnFocus width="min(320px, calc(100vw - 32px))">
      <Popover.Target>
        <Tooltip label={t('offline')} disabled={online}>
          <Button variant={primary ? 'filled' : 'default'} disabled={!online} aria-label={t('raiseName', { name: budget.name })} onClick={() => turn(!opened)} className={classes.raise}>
            {children ?? t('raise')}
          </Button>
        </Tooltip>
      </Popover.Target>
      <Popover.Dropdown p="md" aria-label={t('raiseTitle', { name: budget.name })}>{opened ? <Form budget={budget} state={state} onDone={() => turn(false)} /> : null}</Popover.Dropdown>
    </Popover>
  );
}

function Form({ budget: b, state, onDone }: { budget: Budget; state: BudgetState | undefined; onDone: () => void }) {
  const limit = limitOf(b, state);
  const end = untilText(b, state);
  const [how, setHow] = useState<'by' | 'to'>('by');
  const [amount, setAmount] = useState<bigint>();
  const [forGood, setForGood] = useState(!resets(b));
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const [asked, setAsked] = useState(false);
  const by = amount === undefined ? undefined : how === 'by' ? amount : amount - limit;
  const wrong = by === undefined ? (asked ? t('amountMissing') : undefined) : by <= 0n ? (asked ? t('notMore', { limit: exact(limit) }) : undefined) : undefined;
  const length = forGood ? t('forGood') : t('onlyUntil', { end });
  const run = async (work: () => Promise<unknown>) => {
    setBusy(true);
    setError(undefined);
    try {
      await work();
      onDone();
    } catch (err) {
      setError(err);
    } finally {
      setBusy(false);
    }
  };
  const submit = () => {
    setAsked(true);
    if (by === undefined || by <= 0n) return;
    void run(async () => {
      const raised = await raise(b, by, !forGood);
      notifications.show({ message: t('raised', { name: b.name, limit: limitTold(raised), how: length }), autoClose: 4000 });
    });
  };
  const problem = error ? problemOf(error) : undefined;
  const there = nanos(b.raise?.by);
  return (
    <form
      aria-label={t('raiseTitle', { name: b.name })}
      onSubmit={(e) => {
        e.preventDefault();
        submit();
      }}
    >
      <Stack gap="sm">
        <div>
          <Text fw={600} size="sm">{t('raiseTitle', { name: b.name })}</Text>
          {state ? <Text size="xs" className="dim">{t('raiseNow', { spent: short(nanos(state.spent)), limit: exact(limit) })}</Text> : null}
        </div>
        <SegmentedControl
          fullWidth
          aria-label={t('raise')}
          value={how}
          onChange={(v) => {
            setHow(v as 'by' | 'to');
            setAmount(undefined);
          }}
          data={[
            { value: 'by', label: t('by') },
            { value: 'to', label: t('setTo') },
          ]}
        />
        <MoneyInput
          key={how}
          data-autofocus
          label={how === 'by' ? t('by') : t('setTo')}
          value={amount}
          onChange={setAmount}
          error={violationsOf(problem, 'by')[0]?.text ?? violationsOf(problem, 'amount')[0]?.text ?? wrong}
        />
        {how === 'by' ? (
          <Group gap={6}>
            <Button size="compact-xs" variant="default" onClick={() => setAmount(tenth(limit))}>{t('plusTen')}</Button>
            <Button size="compact-xs" variant="default" onClick={() => setAmount(100n * dollar)}>{t('plusHundred')}</Button>
          </Group>
        ) : null}
        {resets(b) ? <Checkbox label={t('onlyUntil', { end })} checked={!forGood} onChange={(e) => setForGood(!e.currentTarget.checked)} /> : null}
        {there > 0n && !forGood ? <Text size="xs" className="dim">{t('thereIsRaise', { amount: exact(there), end })}</Text> : null}
        {by !== undefined && by > 0n ? <Text size="xs" aria-live="polite">{t('newLimitIs', { limit: exact(limit + by), how: length })}</Text> : null}
        {error && !problem?.violations.length ? <Failure error={error} /> : null}
        <Group justify="space-between" gap="xs">
          {there > 0n ? (
            <Button variant="subtle" color="gray" loading={busy} onClick={() => void run(() => endRaise(b))}>
              {t('endRaise')}
            </Button>
          ) : (
            <span />
          )}
          <Button type="submit" loading={busy}>{by !== undefined && by > 0n ? t('raiseGo', { amount: short(by) }) : t('raiseEmpty')}</Button>
        </Group>
      </Stack>
    </form>
  );
}

/** A tenth, to the cent above. */
function tenth(limit: bigint): bigint {
  const cent = dollar / 100n;
  const more = limit / 10n;
  return ((more + cent - 1n) / cent) * cent || cent;
}
