import { ActionIcon, Button, Checkbox, NativeSelect, TextInput } from '@mantine/core';
import { IconPlus, IconX } from '@tabler/icons-react';
import type { Counter, Meter, Unit } from '@/gen/tollgate/control/v1/meter_pb';
import { t } from '@/text/price';
import { aggregates, sourceOf } from './metered';
import classes from './MeterEditor.module.css';
import { SourceField } from './SourceField';

/** The rest of what can be said of a number that is billed. */
export function CounterFields({ unit, counter, meter, onChange }: { unit: Unit; counter: Counter | undefined; meter: Meter; onChange: (edit: (m: Meter) => void) => void }) {
  const edit = (change: (c: Counter) => void) =>
    onChange((m) => {
      const c = m.counters.find((x) => x.name === counter?.name);
      if (c) change(c);
    });
  const own = (change: (u: Unit) => void) =>
    onChange((m) => {
      const u = m.units.find((x) => x.name === unit.name);
      if (u) change(u);
    });
  return (
    <div className={`${classes.whole} ${classes.more}`}>
      {counter ? (
        <>
          <NativeSelect
            size="xs"
            label={t('aggregate')}
            w={190}
            value={counter.aggregate || 'last'}
            data={aggregates.map((a) => ({ value: a, label: t(`aggregate_${a}` as 'aggregate_sum') }))}
            onChange={(e) => {
              const to = e.currentTarget.value;
              edit((c) => (c.aggregate = to === 'last' ? '' : to));
            }}
          />
          <TextInput
            size="xs"
            label={t('defaultValue')}
            w={140}
            inputMode="decimal"
            value={counter.default}
            onChange={(e) => {
              const value = e.currentTarget.value.trim();
              edit((c) => (c.default = value));
            }}
          />
          {counter.sources[0]?.place.case === 'frame' ? (
            <TextInput
              size="xs"
              label={t('event')}
              w={180}
              value={counter.sources[0].event}
              onChange={(e) => {
                const event = e.currentTarget.value.trim();
                edit((c) => (c.sources[0]!.event = event));
              }}
            />
          ) : null}
        </>
      ) : null}
      <NativeSelect
        size="xs"
        label={t('otherwise')}
        w={300}
        value={unit.otherwise}
        data={[{ value: '', label: t('otherwiseNone') }, ...meter.units.filter((u) => u.name !== unit.name).map((u) => ({ value: u.name, label: u.name }))]}
        onChange={(e) => {
          const to = e.currentTarget.value;
          own((u) => (u.otherwise = to));
        }}
      />
      <div className={classes.checks}>
        {counter ? (
          <>
            <Check label={t('optional')} on={counter.optional} set={(on) => edit((c) => (c.optional = on))} />
            <Check label={t('quoted')} on={counter.quoted} set={(on) => edit((c) => (c.quoted = on))} />
          </>
        ) : null}
        <Check label={t('unlimited')} on={unit.unlimited} set={(on) => own((u) => (u.unlimited = on))} />
      </div>
      {counter ? (
        <div className={classes.others}>
          {counter.sources.slice(1).map((s, i) => (
            <div key={i} className={classes.other}>
              <span className="dim">{t('otherSources')}</span>
              <SourceField name={unit.name} source={s} onChange={(place, value) => edit((c) => (c.sources[i + 1] = sourceOf(place, value, c.sources[i + 1]!.event)))} />
              <ActionIcon size={24} aria-label={t('removeSource')} onClick={() => edit((c) => c.sources.splice(i + 1, 1))}>
                <IconX size={14} aria-hidden />
              </ActionIcon>
            </div>
          ))}
          {counter.sources.length < 8 ? (
            <Button size="compact-xs" variant="subtle" leftSection={<IconPlus size={12} aria-hidden />} onClick={() => edit((c) => c.sources.push(sourceOf('frame', '')))}>
              {t('addSource')}
            </Button>
          ) : null}
        </div>
      ) : null}
    </div>
  );
}

function Check({ label, on, set }: { label: string; on: boolean; set: (on: boolean) => void }) {
  return (
    <Checkbox
      size="xs"
      label={label}
      checked={on}
      onChange={(e) => {
        const to = e.currentTarget.checked;
        set(to);
      }}
    />
  );
}
