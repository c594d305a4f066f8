import { Button, Group, NativeSelect, TextInput } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { useState } from 'react';
import type { Path } from '@/components/JsonTree';
import { type Bound, type Meter, type Metered } from '@/gen/tollgate/control/v1/meter_pb';
import type { Price } from '@/gen/tollgate/control/v1/price_pb';
import { t } from '@/text/price';
import { changed } from './draft';
import { bill, billedBy, decimal, newMeter, sourceOf } from './metered';
import { MeterEditor } from './MeterEditor';
import { meterPath, nameOf } from './paths';
import type { PriceEditorProps } from './PriceEditor';
import classes from './PriceEditor.module.css';
import { Preset } from './Preset';
import { storedSample, type StoredSample } from './sample';
import { SamplePane } from './SamplePane';
import { useTrial } from './useTrial';
import { wrongWith } from './violations';

/** Which number of which meter is to be priced next: its field gets the keyboard. */
export interface Focus {
  meter: number;
  unit: string;
}

/** What numbers of an exchange cost, beside an exchange to point at them. */
export function MeteredPrice({ price, metered, onChange, endpoint, problem }: Omit<PriceEditorProps, 'value'> & { price: Price; metered: Metered }) {
  const [samples, setSamples] = useState<(StoredSample | undefined)[]>(() => [endpoint?.name ? storedSample(endpoint.name) : undefined]);
  const [active, setActive] = useState(0);
  const [open, setOpen] = useState(metered.meters.length === 1 ? 0 : -1);
  const [focus, setFocus] = useState<Focus>();
  // Bounds come back when somebody tries another kind of reserve and returns.
  const [bounds] = useState<Record<string, Bound[]>>(() => Object.fromEntries(metered.meters.map((m) => [m.name, m.hold?.bounds ?? []])));
  const trial = useTrial(price, samples[active]);
  const set = (edit: (m: Metered) => void) => onChange(changed(price, (p) => p.kind.case === 'metered' && edit(p.kind.value)));
  const change = (i: number, edit: (m: Meter) => void) => set((all) => edit(all.meters[i]!));

  const reader = metered.meters.findIndex((m) => m.name === trial.result?.meter);
  const chosen = open >= 0 && open < metered.meters.length ? open : Math.max(reader, 0);
  const pick = (place: 'frame' | 'request', path: Path, value: unknown) => {
    const meter = metered.meters[chosen];
    if (!meter || meter.free) return;
    const source = sourceOf(place, meterPath(path));
    setOpen(chosen);
    const there = billedBy(meter, source);
    if (there) {
      setFocus({ meter: chosen, unit: there.name });
      return;
    }
    let unit = '';
    change(chosen, (m) => {
      const taken = [...m.units, ...m.counters].map((x) => x.name);
      unit = bill(m, nameOf(path, taken), source, Array.isArray(value) ? 'count' : '');
    });
    setFocus({ meter: chosen, unit });
  };
  const wrong = (field: string) => wrongWith(problem, `metered.${field}`);
  const held = metered.fallback === 'held';
  return (
    <div className={classes.metered}>
      <div className={classes.meters}>
        <Preset replaces={metered.meters.some((m) => m.units.length > 0)} onUse={(p) => onChange(p)} />
        {metered.meters.map((meter, i) => (
          <MeterEditor
            key={i}
            meter={meter}
            index={i}
            alone={metered.meters.length === 1}
            open={open === i || (metered.meters.length === 1 && open !== -2)}
            onOpen={(on) => setOpen(on ? i : -2)}
            onChange={(edit) => change(i, edit)}
            onRemove={() => {
              setOpen(-2);
              set((all) => all.meters.splice(i, 1));
            }}
            keptBounds={bounds[meter.name] ?? []}
            trial={trial.result?.meter === meter.name ? trial.result : undefined}
            tried={trial.result !== undefined}
            focus={focus?.meter === i ? focus.unit : undefined}
            onFocused={() => setFocus(undefined)}
            problem={problem}
          />
        ))}
        <div>
          <Button
            variant="subtle"
            leftSection={<IconPlus size={14} aria-hidden />}
            onClick={() => {
              setOpen(metered.meters.length);
              set((all) => all.meters.push(newMeter(all.meters.map((m) => m.name))));
            }}
          >
            {t('addMeter')}
          </Button>
          {wrong('meters') ? <div className="bad">{wrong('meters')}</div> : null}
        </div>
      </div>
      <SamplePane
        samples={samples}
        active={Math.min(active, samples.length - 1)}
        onActive={setActive}
        onSamples={(next, at) => {
          setSamples(next);
          setActive(at);
        }}
        last={endpoint?.name ? storedSample(endpoint.name) : undefined}
        trial={trial}
        meter={metered.meters[chosen]}
        onPick={pick}
      />
      <div className={classes.rest}>
        <div className={classes.fields}>
          <Group gap={8} align="flex-end" wrap="nowrap">
            <NativeSelect
              label={t('fallbackKind')}
              w={190}
              value={held ? 'held' : 'amount'}
              data={[
                { value: 'amount', label: t('fallbackAmount') },
                { value: 'held', label: t('fallbackHeld') },
              ]}
              onChange={(e) => {
                const to = e.currentTarget.value === 'held' ? 'held' : '0';
                set((all) => (all.fallback = to));
              }}
            />
            {held ? null : (
              <TextInput
                aria-label={t('fallback')}
                leftSection="$"
                inputMode="decimal"
                w={100}
                value={metered.fallback}
                error={!!wrong('fallback')}
                onChange={(e) => {
                  const fallback = decimal(e.currentTarget.value);
                  set((all) => (all.fallback = fallback));
                }}
              />
            )}
          </Group>
          <NativeSelect
            label={t('unmatched')}
            w={280}
            value={metered.unmatched}
            error={wrong('unmatched')}
            data={(['refuse', 'free', 'unpriced'] as const).map((u) => ({ value: u, label: t(`unmatched_${u}`) }))}
            onChange={(e) => {
              const unmatched = e.currentTarget.value;
              set((all) => (all.unmatched = unmatched));
            }}
          />
        </div>
        {wrong('fallback') ? <div className="bad">{wrong('fallback')}</div> : null}
        <div className="dim">
          {t('fallbackHint')} {t('rounding')}
        </div>
      </div>
    </div>
  );
}
