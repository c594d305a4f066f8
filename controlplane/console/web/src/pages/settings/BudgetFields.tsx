import { NativeSelect } from '@mantine/core';
import { MoneyInput } from '@/components/MoneyInput';
import { Period } from '@/gen/tollgate/control/v1/budget_pb';
import { t } from '@/text/general';
import classes from './Settings.module.css';

const periods = [Period.HOUR, Period.DAY, Period.WEEK, Period.MONTH, Period.TOTAL];

/** The budget that something new gets. */
export function BudgetFields({
  label,
  amount,
  period,
  hard,
  error,
  disabled,
  onChange,
}: {
  label: string;
  /** Nano-dollars; empty for none. */
  amount: string;
  period: Period;
  hard: boolean;
  error?: string | undefined;
  disabled?: boolean;
  onChange: (more: { amount?: string; period?: Period; hard?: boolean }) => void;
}) {
  const offered = periods.includes(period) ? periods : [...periods, period];
  return (
    <fieldset className={classes.fieldset} disabled={disabled}>
      <legend>{label}</legend>
      <div className={classes.triple}>
        <MoneyInput aria-label={`${label}: ${t('amount')}`} placeholder={t('noBudget')} value={amount ? BigInt(amount) : undefined} error={error} onChange={(n) => onChange({ amount: n === undefined ? '' : String(n) })} />
        <NativeSelect
          aria-label={`${label}: ${t('period')}`}
          value={String(period)}
          data={offered.map((p) => ({ value: String(p), label: t(`per_${Period[p] as 'DAY'}`) }))}
          onChange={(e) => onChange({ period: Number(e.currentTarget.value) })}
        />
        <NativeSelect
          aria-label={`${label}: ${t('enforcement')}`}
          value={hard ? 'hard' : 'soft'}
          data={[
            { value: 'hard', label: t('hard') },
            { value: 'soft', label: t('soft') },
          ]}
          onChange={(e) => onChange({ hard: e.currentTarget.value === 'hard' })}
        />
      </div>
    </fieldset>
  );
}
