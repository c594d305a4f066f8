import { Anchor, TextInput } from '@mantine/core';
import { MoneyInput } from '@/components/MoneyInput';
import type { Price, Price_Reported } from '@/gen/tollgate/control/v1/price_pb';
import { money, nanos } from '@/lib/money';
import { t } from '@/text/price';
import { ChargeFields } from './ChargeFields';
import { changed, costHeader, litellmCostHeader } from './draft';
import type { PriceEditorProps } from './PriceEditor';
import classes from './PriceEditor.module.css';
import { wrongWith } from './violations';

/** What the target says in a header, up to a bound. */
export function ReportedPrice({ price, reported, onChange, problem }: Pick<PriceEditorProps, 'onChange' | 'problem'> & { price: Price; reported: Price_Reported }) {
  const set = (change: (r: Price_Reported) => void) => onChange(changed(price, (p) => p.kind.case === 'reported' && change(p.kind.value)));
  const wrong = (field: string) => wrongWith(problem, `reported.${field}`);
  const offer = reported.header === litellmCostHeader ? costHeader : litellmCostHeader;
  return (
    <div className={classes.stack}>
      <div className={classes.fields}>
        <TextInput
          label={t('header')}
          w={280}
          classNames={{ input: 'mono' }}
          placeholder={costHeader}
          value={reported.header}
          error={wrong('header')}
          description={
            <>
              {t('headerHint')}{' '}
              <Anchor component="button" type="button" inherit underline="always" onClick={() => set((r) => (r.header = offer))}>
                {t('useHeader', { header: offer })}
              </Anchor>
            </>
          }
          inputWrapperOrder={['label', 'input', 'description', 'error']}
          onChange={(e) => {
            const header = e.currentTarget.value.trim();
            set((r) => (r.header = header));
          }}
        />
        <MoneyInput
          label={t('ceiling')}
          description={t('ceilingHint')}
          inputWrapperOrder={['label', 'input', 'description', 'error']}
          w={230}
          value={reported.ceiling && nanos(reported.ceiling)}
          error={wrong('ceiling')}
          onChange={(n) =>
            set((r) => {
              if (n === undefined) delete r.ceiling;
              else r.ceiling = money(n);
            })
          }
        />
        <MoneyInput
          label={t('fallback')}
          description={t('fallbackHint')}
          inputWrapperOrder={['label', 'input', 'description', 'error']}
          w={230}
          value={nanos(reported.fallback)}
          error={wrong('fallback')}
          onChange={(n) =>
            set((r) => {
              if (n === undefined) delete r.fallback;
              else r.fallback = money(n);
            })
          }
        />
      </div>
      <div className={classes.fields}>
        <ChargeFields
          charge={reported.charge}
          field="reported.charge"
          problem={problem}
          onChange={(c) =>
            set((r) => {
              if (c) r.charge = c;
              else delete r.charge;
            })
          }
        />
      </div>
    </div>
  );
}
