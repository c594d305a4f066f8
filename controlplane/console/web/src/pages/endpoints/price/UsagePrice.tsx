import { ActionIcon, Button, Select, TextInput } from '@mantine/core';
import { create } from '@bufbuild/protobuf';
import { IconPlus, IconX } from '@tabler/icons-react';
import { MoneyInput } from '@/components/MoneyInput';
import { type Price, Price_Bound, Price_RateSchema, Price_Unit, type Price_Usage } from '@/gen/tollgate/control/v1/price_pb';
import { money, nanos } from '@/lib/money';
import { t } from '@/text/price';
import { changed } from './draft';
import type { PriceEditorProps } from './PriceEditor';
import classes from './PriceEditor.module.css';
import { wrongWith } from './violations';

const units = [Price_Unit.REQUEST_BYTES, Price_Unit.RESPONSE_BYTES, Price_Unit.RESPONSE_EVENTS, Price_Unit.RESPONSE_HEADER] as const;

/** By bytes, events and a count in a header, with an end where the money ends. */
export function UsagePrice({ price, usage, onChange, problem }: Pick<PriceEditorProps, 'onChange' | 'problem'> & { price: Price; usage: Price_Usage }) {
  const set = (change: (u: Price_Usage) => void) => onChange(changed(price, (p) => p.kind.case === 'usage' && change(p.kind.value)));
  const wrong = (field: string) => wrongWith(problem, `usage.${field}`);
  return (
    <div className={classes.stack}>
      {usage.rates.map((rate, i) => (
        <div key={i} className={classes.fields}>
          <Select
            label={i ? undefined : t('usageUnit')}
            aria-label={t('usageUnit')}
            w={210}
            value={String(rate.unit || '')}
            data={units.map((u) => ({ value: String(u), label: t(`usage_${u}`) }))}
            error={wrong(`rates[${i}].unit`) ?? wrong(`rates[${i}]`)}
            onChange={(to) =>
              set((u) => {
                u.rates[i]!.unit = Number(to) as Price_Unit;
                if (u.rates[i]!.unit !== Price_Unit.RESPONSE_HEADER) u.rates[i]!.header = '';
              })
            }
          />
          {rate.unit === Price_Unit.RESPONSE_HEADER ? (
            <TextInput
              label={i ? undefined : t('usageHeader')}
              aria-label={t('usageHeader')}
              w={180}
              classNames={{ input: 'mono' }}
              value={rate.header}
              error={wrong(`rates[${i}].header`)}
              onChange={(e) => {
                const header = e.currentTarget.value.trim();
                set((u) => (u.rates[i]!.header = header));
              }}
            />
          ) : null}
          <MoneyInput
            label={i ? undefined : t('usagePerMillion')}
            aria-label={t('usagePerMillion')}
            w={140}
            value={rate.perMillion && nanos(rate.perMillion)}
            error={wrong(`rates[${i}].per_million`)}
            onChange={(n) =>
              set((u) => {
                if (n === undefined) delete u.rates[i]!.perMillion;
                else u.rates[i]!.perMillion = money(n);
              })
            }
          />
          <ActionIcon aria-label={t('usageRemove')} className={classes.besideInput} onClick={() => set((u) => u.rates.splice(i, 1))}>
            <IconX size={16} aria-hidden />
          </ActionIcon>
        </div>
      ))}
      <div>
        <Button variant="default" leftSection={<IconPlus size={14} aria-hidden />} onClick={() => set((u) => u.rates.push(create(Price_RateSchema, { unit: Price_Unit.RESPONSE_BYTES })))}>
          {t('usageAdd')}
        </Button>
        {wrong('rates') ? <div className="bad">{wrong('rates')}</div> : null}
      </div>
      <div className={classes.fields}>
        <MoneyInput label={t('base')} w={140} value={nanos(usage.perRequest)} error={wrong('per_request')} onChange={(n) => set((u) => (u.perRequest = money(n ?? 0n)))} />
        <MoneyInput label={t('usageHold')} w={160} value={nanos(usage.hold)} error={wrong('hold')} onChange={(n) => set((u) => (u.hold = money(n ?? 0n)))} />
        <Select
          label={t('usageBound')}
          w={280}
          value={String(usage.bound || Price_Bound.ESTIMATE)}
          error={wrong('bound')}
          data={[Price_Bound.CEILING, Price_Bound.ESTIMATE].map((b) => ({ value: String(b), label: t(`usageBound_${b as 1 | 2}`) }))}
          onChange={(to) => set((u) => (u.bound = Number(to) as Price_Bound))}
        />
        <MoneyInput label={t('fallback')} w={210} value={nanos(usage.fallback)} error={wrong('fallback')} onChange={(n) => set((u) => (u.fallback = money(n ?? 0n)))} />
      </div>
    </div>
  );
}
