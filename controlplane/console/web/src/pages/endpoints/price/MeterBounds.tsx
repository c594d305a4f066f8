import { Checkbox, NativeSelect, TextInput, UnstyledButton } from '@mantine/core';
import { IconChevronRight } from '@tabler/icons-react';
import { useState } from 'react';
import type { Bound, Meter } from '@/gen/tollgate/control/v1/meter_pb';
import { t } from '@/text/price';
import { ChargeFields } from './ChargeFields';
import { decimal, type HoldKind, holdKind, setHold } from './metered';
import classes from './MeterEditor.module.css';
import type { PriceEditorProps } from './PriceEditor';
import { wrongWith } from './violations';

/** A line that says what holds, and opens to be edited: what a request costs at least, at most and beside its numbers, which answers are charged, and what is held before it is sent. */
export function MeterBounds({ meter, index, onChange, kept, problem }: { meter: Meter; index: number; onChange: (edit: (m: Meter) => void) => void; kept: Bound[]; problem: PriceEditorProps['problem'] }) {
  const at = `metered.meters[${index}]`;
  const amount = (field: 'base' | 'minimum' | 'maximum') => (
    <TextInput
      label={t(field)}
      w={120}
      leftSection="$"
      inputMode="decimal"
      autoComplete="off"
      value={meter[field]}
      error={wrongWith(problem, `${at}.${field}`)}
      onChange={(e) => {
        const value = decimal(e.currentTarget.value);
        onChange((m) => (m[field] = value));
      }}
    />
  );
  const kind = holdKind(meter);
  const [opened, setOpened] = useState(false);
  const wrong = (['base', 'minimum', 'maximum', 'hold', 'charge'] as const).some((f) => wrongWith(problem, `${at}.${f}`, true));
  const open = opened || wrong;
  const bounds = meter.hold?.bounds ?? [];
  const choices: HoldKind[] = kept.length || bounds.length ? ['bounds', 'learned', 'least', 'amount'] : ['learned', 'least', 'amount'];
  const held = kind === 'amount' ? ('amount' as const) : ('least' as const);
  const set = (['base', 'minimum', 'maximum'] as const).filter((f) => meter[f]).map((f) => `${t(f)} $${meter[f]}`);
  const reserve = `${t(`hold_${kind}`)}${meter.hold?.[held] ? `, $${meter.hold[held]}` : ''}`;
  const toggle = (
    <UnstyledButton className={classes.boundsToggle} aria-expanded={open} onClick={() => setOpened(!open)}>
      <IconChevronRight size={16} aria-hidden className={classes.chevron} data-open={open || undefined} />
      <b>{t('bounds')}</b>
      {open ? null : <span className="dim">{[...set, t('holdShort', { how: reserve })].join(' · ')}</span>}
    </UnstyledButton>
  );
  if (!open) return toggle;
  return (
    <>
      {toggle}
      <div className={classes.fields}>
        {amount('base')}
        {amount('minimum')}
        {amount('maximum')}
        <ChargeFields
          charge={meter.charge}
          field={`${at}.charge`}
          methods={false}
          problem={problem}
          onChange={(c) =>
            onChange((m) => {
              if (c) m.charge = c;
              else delete m.charge;
            })
          }
        />
      </div>
      <div className={classes.fields}>
        <NativeSelect
          label={t('hold')}
          w={250}
          value={kind}
          error={wrongWith(problem, `${at}.hold`)}
          data={choices.map((k) => ({ value: k, label: t(`hold_${k}`) }))}
          onChange={(e) => {
            const to = e.currentTarget.value as HoldKind;
            onChange((m) => setHold(m, to, bounds.length ? bounds : kept));
          }}
        />
        <TextInput
          label={t(kind === 'amount' ? 'holdAmount' : 'holdLeast')}
          w={130}
          leftSection="$"
          inputMode="decimal"
          autoComplete="off"
          value={meter.hold?.[held] ?? ''}
          error={wrongWith(problem, `${at}.hold.${held}`)}
          onChange={(e) => {
            const value = decimal(e.currentTarget.value);
            onChange((m) => {
              if (!m.hold) setHold(m, kind);
              m.hold![held] = value;
            });
          }}
        />
        {kind === 'bounds' ? (
          <Checkbox
            className={classes.low}
            label={t('holdLearned')}
            checked={meter.hold?.learned ?? false}
            onChange={(e) => {
              const on = e.currentTarget.checked;
              onChange((m) => {
                if (m.hold) m.hold.learned = on;
              });
            }}
          />
        ) : null}
      </div>
      <div className="dim">
        {t('holdText')} {bounds.length ? <span>{t('holdBounds', { list: bounds.map((b) => b.unit).join(', ') })}</span> : null}
      </div>
      {wrongWith(problem, `${at}.hold.bounds`, true) ? <div className="bad">{wrongWith(problem, `${at}.hold.bounds`, true)}</div> : null}
    </>
  );
}
