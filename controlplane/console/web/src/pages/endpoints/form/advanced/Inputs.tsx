// Inputs of one line for the settings that most endpoints leave as they are.

import { NumberInput, Select, Switch, TextInput } from '@mantine/core';
import type { Duration } from '@bufbuild/protobuf/wkt';
import { useEffect, useState } from 'react';
import { t } from '@/text/endpoint-form';
import { useForm } from '../context';
import { bytes, bytesText, durationText, milliseconds, toDuration } from '../duration';
import { Field } from '../Field';

interface Props {
  field: string;
  label: string;
  hint?: string;
  placeholder?: string;
}

/** What was typed and cannot be read stays, and is told, until it can. */
function useTyped<T>(field: string, shown: string, read: (text: string) => T | undefined, set: (value: T | undefined) => void, complaint: string) {
  const form = useForm();
  const [typed, setTyped] = useState<string>();
  const { local } = form;
  useEffect(() => () => local(field, ''), [local, field]);
  return {
    value: typed ?? shown,
    change(text: string) {
      setTyped(text);
      const value = text.trim() === '' ? undefined : read(text);
      local(field, text.trim() !== '' && value === undefined ? complaint : '');
      if (text.trim() === '' || value !== undefined) set(value);
    },
    left() {
      if (typed !== undefined && (typed.trim() === '' || read(typed) !== undefined)) setTyped(undefined);
    },
  };
}

export function DurationField({ field, label, hint, placeholder, value, onChange }: Props & { value: Duration | undefined; onChange: (d: Duration | undefined) => void }) {
  const form = useForm();
  const typed = useTyped(field, durationText(value), (text) => (milliseconds(text) || undefined), (ms) => onChange(ms === undefined ? undefined : toDuration(ms)), t('durationForm'));
  return (
    <Field field={field} label={label} hint={hint}>
      {(bound) => (
        <TextInput
          {...bound}
          value={typed.value}
          placeholder={placeholder}
          onChange={(e) => typed.change(e.currentTarget.value)}
          onBlur={() => {
            typed.left();
            form.touch(field);
          }}
          autoComplete="off"
        />
      )}
    </Field>
  );
}

export function SizeField({ field, label, hint, placeholder, value, onChange }: Props & { value: bigint; onChange: (n: bigint) => void }) {
  const form = useForm();
  const typed = useTyped(field, bytesText(value), bytes, (n) => onChange(BigInt(n ?? 0)), t('sizeForm'));
  return (
    <Field field={field} label={label} hint={hint}>
      {(bound) => (
        <TextInput
          {...bound}
          value={typed.value}
          placeholder={placeholder}
          onChange={(e) => typed.change(e.currentTarget.value)}
          onBlur={() => {
            typed.left();
            form.touch(field);
          }}
          autoComplete="off"
        />
      )}
    </Field>
  );
}

export function CountField({ field, label, hint, placeholder, value, max, suffix, onChange }: Props & { value: number; max?: number; suffix?: string; onChange: (n: number) => void }) {
  return (
    <Field field={field} label={label} hint={hint}>
      {(bound) => (
        <NumberInput
          {...bound}
          value={value || ''}
          min={0}
          max={max}
          suffix={suffix}
          allowDecimal={false}
          placeholder={placeholder}
          onChange={(v) => onChange(typeof v === 'number' ? v : 0)}
        />
      )}
    </Field>
  );
}

export function TextField({ field, label, hint, placeholder, value, mono, onChange }: Props & { value: string; mono?: boolean; onChange: (text: string) => void }) {
  return (
    <Field field={field} label={label} hint={hint}>
      {(bound) => (
        <TextInput
          {...bound}
          classNames={mono ? { input: 'mono' } : undefined}
          value={value}
          placeholder={placeholder}
          onChange={(e) => onChange(e.currentTarget.value)}
          autoComplete="off"
          spellCheck={!mono}
        />
      )}
    </Field>
  );
}

export function ChoiceField({ field, label, hint, value, options, onChange }: Props & { value: number; options: [number, string][]; onChange: (n: number) => void }) {
  return (
    <Field field={field} label={label} hint={hint}>
      {(bound) => <Select {...bound} value={String(value)} data={options.map(([n, text]) => ({ value: String(n), label: text }))} onChange={(v) => onChange(Number(v))} />}
    </Field>
  );
}

export function SwitchField({ field, label, hint, value, onChange }: Props & { value: boolean; onChange: (on: boolean) => void }) {
  const form = useForm();
  return <Switch label={label} description={hint} data-field={field} checked={value} disabled={form.disabled} onChange={(e) => onChange(e.currentTarget.checked)} py={6} />;
}

/** Statuses as people list them: 429, 502-504. */
export function StatusesField({ field, label, hint, placeholder, value, onChange }: Props & { value: number[]; onChange: (list: number[]) => void }) {
  const form = useForm();
  const typed = useTyped(field, value.join(', '), statuses, (list) => onChange(list ?? []), t('statusesForm'));
  return (
    <Field field={field} label={label} hint={hint}>
      {(bound) => (
        <TextInput
          {...bound}
          value={typed.value}
          placeholder={placeholder}
          onChange={(e) => typed.change(e.currentTarget.value)}
          onBlur={() => {
            typed.left();
            form.touch(field);
          }}
          autoComplete="off"
        />
      )}
    </Field>
  );
}

export function statuses(text: string): number[] | undefined {
  const out: number[] = [];
  for (const word of text.split(/[\s,]+/).filter(Boolean)) {
    const m = /^(\d{3})(?:-(\d{3}))?$/.exec(word);
    if (!m) return undefined;
    const [from, to] = [Number(m[1]), Number(m[2] ?? m[1])];
    if (to < from || to - from > 99) return undefined;
    for (let n = from; n <= to; n++) if (!out.includes(n)) out.push(n);
  }
  return out;
}
