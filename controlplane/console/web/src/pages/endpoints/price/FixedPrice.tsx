import { useQuery } from '@connectrpc/connect-query';
import { useState } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { MoneyInput } from '@/components/MoneyInput';
import { BudgetService } from '@/gen/tollgate/control/v1/budget_pb';
import type { Price, Price_Fixed } from '@/gen/tollgate/control/v1/price_pb';
import { money, nanos, short } from '@/lib/money';
import { t } from '@/text/price';
import { ChargeFields } from './ChargeFields';
import { changed, largeAbove } from './draft';
import classes from './PriceEditor.module.css';
import { wrongWith } from './violations';
import type { PriceEditorProps } from './PriceEditor';

/** How many calls the line below the price tells of. */
const calls = 100n;

/** The same for every request. */
export function FixedPrice({ price, fixed, onChange, problem }: Pick<PriceEditorProps, 'onChange' | 'problem'> & { price: Price; fixed: Price_Fixed }) {
  const value = fixed.perRequest && nanos(fixed.perRequest);
  // A large price is not the draft's until it is typed twice: until then it has none, and cannot be saved.
  const [typed, setTyped] = useState(value);
  const [agreed, setAgreed] = useState(value ?? 0n);
  const shown = value ?? typed;
  const large = shown !== undefined && shown > largeAbove && shown !== agreed;
  const set = (n: bigint | undefined) =>
    onChange(
      changed(price, (p) => {
        if (p.kind.case !== 'fixed') return;
        if (n === undefined) delete p.kind.value.perRequest;
        else p.kind.value.perRequest = money(n);
      }),
    );
  return (
    <div className={classes.stack}>
      <div className={classes.fields}>
        <MoneyInput
          label={t('perRequest')}
          name="price"
          required
          withAsterisk={false}
          w={160}
          value={shown}
          error={large ? undefined : wrongWith(problem, 'fixed.per_request')}
          onChange={(n) => {
            setTyped(n);
            set(n !== undefined && n > largeAbove && n !== agreed ? undefined : n);
          }}
        />
        {large ? (
          <MoneyInput
            label={t('confirmLarge', { amount: short(shown) })}
            w={300}
            value={undefined}
            onChange={(n) => {
              if (n !== shown) return;
              setAgreed(shown);
              set(shown);
            }}
          />
        ) : null}
        <ChargeFields charge={fixed.charge} field="fixed.charge" problem={problem} onChange={(charge) => onChange(changed(price, (p) => p.kind.case === 'fixed' && assign(p.kind.value, charge)))} />
      </div>
      {value !== undefined && value > 0n ? <Helper price={value} /> : null}
    </div>
  );
}

function assign(to: { charge?: Price_Fixed['charge'] }, charge: Price_Fixed['charge']): void {
  if (charge) to.charge = charge;
  else delete to.charge;
}

function Helper({ price }: { price: bigint }) {
  const { may } = useCaller();
  const { data } = useQuery(BudgetService.method.listBudgets, { filter: 'scope:key enforcement:hard', pageSize: 1000 }, { enabled: may(Permission.MONEY_READ), staleTime: 60_000 });
  const smallest = data?.budgets.reduce<{ name: string; amount: bigint } | undefined>((least, b) => {
    const amount = nanos(b.amount);
    return !least || amount < least.amount ? { name: b.name, amount } : least;
  }, undefined);
  const total = short(price * calls);
  return (
    <div className="dim">
      {smallest
        ? t('helperBudget', { calls: calls.toString(), total, budget: short(smallest.amount), name: smallest.name, n: smallest.amount / price })
        : t('helper', { calls: calls.toString(), total })}{' '}
      {t('helperReserve')}
    </div>
  );
}
