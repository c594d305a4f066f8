import { ActionIcon, Button, Checkbox, Group, TagsInput, TextInput, UnstyledButton } from '@mantine/core';
import { create } from '@bufbuild/protobuf';
import { IconChevronRight, IconPlus, IconTrash } from '@tabler/icons-react';
import { useState } from 'react';
import { Chip } from '@/components/Status';
import { type Bound, type Meter, MeterMatchSchema } from '@/gen/tollgate/control/v1/meter_pb';
import type { TestPriceResponse } from '@/gen/tollgate/control/v1/price_pb';
import { list } from '@/lib/text';
import { t } from '@/text/price';
import { bill, rowsOf, sourceOf } from './metered';
import { MeterBounds } from './MeterBounds';
import classes from './MeterEditor.module.css';
import { MeterModels } from './MeterModels';
import { MeterRow } from './MeterRow';
import type { PriceEditorProps } from './PriceEditor';
import { wrongWith } from './violations';

export interface MeterEditorProps {
  meter: Meter;
  index: number;
  /** Whether the price has no other meter: then nothing has to be said to tell them apart. */
  alone: boolean;
  open: boolean;
  onOpen: (open: boolean) => void;
  onChange: (edit: (m: Meter) => void) => void;
  onRemove: () => void;
  keptBounds: Bound[];
  /** The bill of the sample, if this meter reads it. */
  trial: TestPriceResponse | undefined;
  /** Whether there is a sample at all. */
  tried: boolean;
  /** Unit whose price gets the keyboard. */
  focus: string | undefined;
  onFocused: () => void;
  problem: PriceEditorProps['problem'];
}

/** One meter: what it reads, which numbers are billed, and what they cost. */
export function MeterEditor(props: MeterEditorProps) {
  const { meter, index, alone, open, onOpen, onChange, onRemove, trial } = props;
  const wrong = wrongWith(props.problem, `metered.meters[${index}]`, true);
  return (
    <section className={classes.meter} data-alone={alone || undefined}>
      {alone ? null : (
        <div className={classes.head}>
          <UnstyledButton className={classes.title} aria-expanded={open} onClick={() => onOpen(!open)}>
            <IconChevronRight size={16} aria-hidden className={classes.chevron} data-open={open || undefined} />
            <b>{meter.name}</b>
            <span className={`mono dim clip`}>{matchText(meter)}</span>
          </UnstyledButton>
          {trial ? <Chip tone="info">{t('sample')}</Chip> : null}
          {meter.free ? <Chip>{t('meterFree')}</Chip> : null}
          {!open && wrong ? <Chip tone="bad">{wrong.slice(0, 60)}</Chip> : null}
          <ActionIcon aria-label={t('removeMeter', { name: meter.name })} onClick={onRemove}>
            <IconTrash size={16} aria-hidden />
          </ActionIcon>
        </div>
      )}
      {open ? (
        <div className={classes.body}>
          {alone ? null : <Match {...props} />}
          {meter.free ? null : <Bill {...props} />}
          {alone && matchText(meter) ? (
            <div className="dim">
              {t('reads')} <span className="mono">{matchText(meter)}</span>
            </div>
          ) : null}
          {meter.free ? null : <MeterBounds meter={meter} index={index} onChange={onChange} kept={props.keptBounds} problem={props.problem} />}
          <Kept meter={meter} />
        </div>
      ) : null}
    </section>
  );
}

function matchText(m: Meter): string {
  return [m.match?.methods.join(' '), m.match?.path, m.match?.websocket ? t('matchSocket') : ''].filter(Boolean).join('  ');
}

function Match({ meter, index, onChange, problem }: MeterEditorProps) {
  const at = `metered.meters[${index}]`;
  const match = (m: Meter) => m.match ?? (m.match = create(MeterMatchSchema));
  const tidy = (m: Meter) => {
    if (m.match && !m.match.methods.length && !m.match.path && !m.match.websocket) delete m.match;
  };
  return (
    <div className={classes.fields}>
      <TextInput
        label={t('meterName')}
        w={160}
        value={meter.name}
        error={wrongWith(problem, `${at}.name`)}
        onChange={(e) => {
          const name = e.currentTarget.value.toLowerCase().replace(/[^a-z0-9_-]/g, '-');
          onChange((m) => (m.name = name));
        }}
      />
      <TagsInput
        label={t('matchMethods')}
        w={180}
        placeholder={meter.match?.methods.length ? '' : t('matchAnyMethod')}
        data={['GET', 'POST', 'PUT', 'PATCH', 'DELETE']}
        value={meter.match?.methods ?? []}
        error={wrongWith(problem, `${at}.match.methods`, true)}
        onChange={(methods) =>
          onChange((m) => {
            match(m).methods = methods.map((x) => x.toUpperCase());
            tidy(m);
          })
        }
      />
      <TextInput
        label={t('matchPath')}
        description={t('matchPathHint')}
        inputWrapperOrder={['label', 'input', 'description', 'error']}
        className={classes.grow}
        classNames={{ input: 'mono' }}
        value={meter.match?.path ?? ''}
        error={wrongWith(problem, `${at}.match.path`)}
        onChange={(e) => {
          const path = e.currentTarget.value;
          onChange((m) => {
            match(m).path = path;
            tidy(m);
          });
        }}
      />
      <Group gap="md" w="100%">
        <Checkbox
          label={t('freeMeter')}
          checked={meter.free}
          onChange={(e) => {
            const free = e.currentTarget.checked;
            onChange((m) => (m.free = free));
          }}
        />
        <Checkbox
          label={t('matchSocket')}
          checked={meter.match?.websocket ?? false}
          onChange={(e) => {
            const on = e.currentTarget.checked;
            onChange((m) => {
              match(m).websocket = on;
              tidy(m);
            });
          }}
        />
      </Group>
    </div>
  );
}

function Bill(props: MeterEditorProps) {
  const { meter, index, onChange, trial, tried, focus, onFocused, problem } = props;
  const [chosen, setChosen] = useState(0);
  const model = Math.min(chosen, Math.max(meter.prices.length - 1, 0));
  const rows = rowsOf(meter, model);
  return (
    <>
      <MeterModels meter={meter} index={index} model={model} onModel={setChosen} onChange={onChange} problem={problem} />
      <div className={classes.rows} role="list" aria-label={t('rows')}>
        {rows.length === 0 ? <div className={`dim ${classes.none}`}>{t('noRows')}</div> : null}
        {rows.map((row, i) => (
          <MeterRow
            key={i}
            row={row}
            at={`metered.meters[${index}]`}
            meter={meter}
            model={model}
            onChange={onChange}
            trial={trial}
            tried={tried}
            focus={focus === row.unit.name}
            onFocused={onFocused}
            problem={problem}
          />
        ))}
      </div>
      <Group gap="xs">
        <Button variant="default" leftSection={<IconPlus size={14} aria-hidden />} onClick={() => onChange((m) => void bill(m, 'units', sourceOf('frame', '')))}>
          {t('addRow')}
        </Button>
        {wrongWith(problem, `metered.meters[${index}].units`) ? <span className="bad">{wrongWith(problem, `metered.meters[${index}].units`)}</span> : null}
      </Group>
    </>
  );
}

/** What the meter has that is not edited here, so that nobody thinks it is gone. */
function Kept({ meter }: { meter: Meter }) {
  const kept = [
    meter.charge && (meter.charge.onlyIf.length || meter.charge.unless.length) ? t('kept_charge') : '',
    meter.inject.length ? t('kept_inject') : '',
    meter.job ? t('kept_job') : '',
    Object.keys(meter.models).length ? t('kept_models') : '',
    meter.variant.length ? t('kept_variants') : '',
    meter.tier.length ? t('kept_tier') : '',
  ].filter(Boolean);
  return kept.length ? <div className="dim">{t('kept', { list: list(kept) })}</div> : null;
}
