import { ActionIcon, NativeSelect, TextInput } from '@mantine/core';
import { IconChevronDown, IconX } from '@tabler/icons-react';
import { useEffect, useRef, useState } from 'react';
import type { Counter, Meter } from '@/gen/tollgate/control/v1/meter_pb';
import type { TestPriceResponse } from '@/gen/tollgate/control/v1/price_pb';
import { t } from '@/text/price';
import { addedTo, decimal, drop, type Place, rate, rename, type Row, sourceOf } from './metered';
import classes from './MeterEditor.module.css';
import { CounterFields } from './CounterFields';
import type { PriceEditorProps } from './PriceEditor';
import { SourceField } from './SourceField';
import { wrongWith } from './violations';

const pers = ['1', '1000', '1000000'] as const;

/** One number that is billed: where it is, what it costs, and what that comes to in the sample. */
export function MeterRow({
  row,
  at,
  meter,
  model,
  onChange,
  trial,
  tried,
  focus,
  onFocused,
  problem,
}: {
  row: Row;
  /** Path of the meter, for what is wrong with it. */
  at: string;
  meter: Meter;
  model: number;
  onChange: (edit: (m: Meter) => void) => void;
  trial: TestPriceResponse | undefined;
  tried: boolean;
  focus: boolean;
  onFocused: () => void;
  problem: PriceEditorProps['problem'];
}) {
  const { unit, counter } = row;
  const [more, setMore] = useState(false);
  const price = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (!focus) return;
    price.current?.focus();
    price.current?.select();
    onFocused();
  }, [focus, onFocused]);

  const place = meter.units.indexOf(unit);
  const counterAt = counter ? meter.counters.indexOf(counter) : -1;
  const rateAt = row.price ? (meter.prices[model]?.rates.indexOf(row.price) ?? -1) : -1;
  const wrong = [
    wrongWith(problem, `${at}.units[${place}]`, true),
    counterAt >= 0 ? wrongWith(problem, `${at}.counters[${counterAt}]`, true) : undefined,
    rateAt >= 0 ? wrongWith(problem, `${at}.prices[${model}].rates[${rateAt}]`, true) : undefined,
  ].filter(Boolean);
  const edit = (change: (c: Counter, m: Meter) => void) =>
    onChange((m) => {
      const c = m.counters[counterAt];
      if (c) change(c, m);
    });
  const source = counter?.sources[0];
  return (
    <div className={classes.row} role="listitem" aria-label={unit.name}>
      <Name name={unit.name} taken={meter.units.map((u) => u.name)} onRename={(to) => onChange((m) => rename(m, unit.name, to))} />
      {counter && source ? (
        <SourceField
          name={unit.name}
          source={source}
          onChange={(kind: Place, value: string) =>
            edit((c) => {
              c.sources[0] = sourceOf(kind, value, c.sources[0]!.event);
            })
          }
        />
      ) : (
        <div className={`${classes.where} mono dim`}>{[addedTo(unit).join(' + '), ...unit.subtract].join(' − ')}</div>
      )}
      <div className={classes.price}>
        <TextInput
          ref={price}
          size="xs"
          leftSection="$"
          inputMode="decimal"
          autoComplete="off"
          aria-label={t('priceOf', { name: unit.name })}
          placeholder={meter.book && !row.price ? t('book') : '0.00'}
          value={row.price?.price ?? ''}
          error={rateAt >= 0 && !!wrongWith(problem, `${at}.prices[${model}].rates[${rateAt}]`, true)}
          onChange={(e) => {
            const typed = decimal(e.currentTarget.value);
            onChange((m) => rate(m, model, unit.name, { price: typed }));
          }}
        />
        <span className="dim">{t('rowPer')}</span>
        <Per name={unit.name} value={row.price?.per ?? 1n} onChange={(per) => onChange((m) => rate(m, model, unit.name, { per }))} />
      </div>
      <Found unit={unit.name} names={addedTo(unit)} trial={trial} tried={tried} />
      <div className={classes.tools}>
        <ActionIcon size={24} aria-expanded={more} aria-label={t(more ? 'rowLess' : 'rowMore', { name: unit.name })} onClick={() => setMore(!more)}>
          <IconChevronDown size={14} aria-hidden className={classes.chevron} data-flip={more || undefined} />
        </ActionIcon>
        <ActionIcon size={24} aria-label={t('rowRemove', { name: unit.name })} onClick={() => onChange((m) => drop(m, unit.name))}>
          <IconX size={14} aria-hidden />
        </ActionIcon>
      </div>
      {wrong.length ? (
        <div className={`bad ${classes.whole}`} role="alert">
          {wrong.join(' ')}
        </div>
      ) : null}
      {row.further.length ? <Further row={row} model={model} onChange={onChange} /> : null}
      {more ? <CounterFields unit={unit} counter={counter} meter={meter} onChange={onChange} /> : null}
    </div>
  );
}

/** A name is taken over when the field is left: it ties prices to what is counted. */
function Name({ name, taken, onRename }: { name: string; taken: string[]; onRename: (to: string) => void }) {
  const [text, setText] = useState(name);
  useEffect(() => setText(name), [name]);
  const leave = () => {
    const to = text.toLowerCase().replace(/[^a-z0-9_]+/g, '_').replace(/^[^a-z]+/, '').slice(0, 32);
    if (to && !taken.includes(to)) onRename(to);
    else setText(name);
  };
  return <TextInput size="xs" className={classes.name} aria-label={t('rowName')} value={text} onChange={(e) => setText(e.currentTarget.value)} onBlur={leave} />;
}

function Per({ name, value, onChange }: { name: string; value: bigint; onChange: (per: bigint) => void }) {
  const now = String(value || 1n);
  const known = (pers as readonly string[]).includes(now);
  return (
    <NativeSelect
      size="xs"
      w={100}
      aria-label={t('perOf', { name })}
      value={now}
      data={[...pers.map((p) => ({ value: p as string, label: t(`per${p}`) })), ...(known ? [] : [{ value: now, label: value.toLocaleString('en') }])]}
      onChange={(e) => onChange(BigInt(e.currentTarget.value))}
    />
  );
}

function Found({ unit, names, trial, tried }: { unit: string; names: string[]; trial: TestPriceResponse | undefined; tried: boolean }) {
  if (!tried) return <div className={classes.found} />;
  const line = trial?.lines.find((l) => l.unit === unit);
  if (line) {
    return (
      <div className={classes.found}>
        <span className="dim">{`${line.quantity} → `}</span>
        <b>{`$${line.amount}`}</b>
      </div>
    );
  }
  const value = trial?.counters.find((c) => names.includes(c.name))?.value;
  return <div className={`${classes.found} ${value ? '' : 'warn'}`}>{value || (trial ? t('notFound') : '–')}</div>;
}

/** Prices that hold above a number, or for a variant. */
function Further({ row, model, onChange }: { row: Row; model: number; onChange: (edit: (m: Meter) => void) => void }) {
  return (
    <div className={`${classes.whole} ${classes.further}`}>
      {row.further.map((r, i) => {
        const when = r.above && r.variant ? t('aboveVariant', { n: r.above.toLocaleString('en'), variant: r.variant }) : r.above ? t('above', { n: r.above.toLocaleString('en') }) : t('variant', { variant: r.variant });
        return (
          <label key={i} className={classes.furtherPrice}>
            <span className="dim">{when}</span>
            <TextInput
              size="xs"
              w={110}
              leftSection="$"
              inputMode="decimal"
              aria-label={t('furtherPrice', { name: row.unit.name, when })}
              value={r.price}
              onChange={(e) => {
                const price = decimal(e.currentTarget.value);
                onChange((m) => {
                  const found = m.prices[model]?.rates.find((x) => x.unit === r.unit && x.above === r.above && x.variant === r.variant);
                  if (found) found.price = price;
                });
              }}
            />
          </label>
        );
      })}
    </div>
  );
}
