import { NativeSelect, TextInput } from '@mantine/core';
import type { Source } from '@/gen/tollgate/control/v1/meter_pb';
import { t } from '@/text/price';
import { measures, type Place, places } from './metered';
import classes from './MeterEditor.module.css';

const hints: Partial<Record<Place, string>> = { frame: 'usage.total_tokens', request: 'n', header: 'x-units', requestHeader: 'x-units', query: 'n', form: 'n', path: '^/v1/(\\d+)/', constant: '1', trailer: 'x-units' };

/** Where a value is: the kind of place, and the path or name there. */
export function SourceField({ name, source, onChange }: { name: string; source: Source; onChange: (place: Place, value: string) => void }) {
  const place = source.place.case ?? 'frame';
  const value = source.place.value ?? '';
  return (
    <div className={classes.where}>
      <NativeSelect
        size="xs"
        className={classes.place}
        aria-label={t('place', { name })}
        value={place}
        data={places.map((p) => ({ value: p, label: t(`place_${p}`) }))}
        onChange={(e) => {
          const to = e.currentTarget.value as Place;
          onChange(to, to === 'measure' ? measures[0]! : place === 'measure' ? '' : value);
        }}
      />
      {place === 'measure' ? (
        <NativeSelect
          size="xs"
          className={classes.grow}
          aria-label={t('placeValue', { name })}
          value={value}
          data={measures.map((m) => ({ value: m, label: t(`measure_${m}` as 'measure_seconds') }))}
          onChange={(e) => onChange('measure', e.currentTarget.value)}
        />
      ) : (
        <TextInput size="xs" className={classes.grow} classNames={{ input: 'mono' }} spellCheck={false} autoComplete="off" aria-label={t('placeValue', { name })} placeholder={hints[place] ?? ''} value={value} onChange={(e) => onChange(place, e.currentTarget.value)} />
      )}
    </div>
  );
}
