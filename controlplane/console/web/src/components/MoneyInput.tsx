import { TextInput, type TextInputProps } from '@mantine/core';
import { type Ref, useEffect, useRef, useState } from 'react';
import { editable, parse } from '@/lib/money';
import { t } from '@/text/amount';

export interface MoneyInputProps extends Omit<TextInputProps, 'value' | 'defaultValue' | 'onChange'> {
  /** Nano-dollars; undefined for nothing. */
  value: bigint | undefined;
  /** Undefined for nothing, and for what is no amount. */
  onChange: (value: bigint | undefined) => void;
  ref?: Ref<HTMLInputElement>;
}

/** A field for an amount of dollars. What was typed stays as it was typed; what is no amount is said, and keeps its form from being sent. */
export function MoneyInput({ value, onChange, error, onBlur, ref, ...props }: MoneyInputProps) {
  const [text, setText] = useState(value === undefined ? '' : editable(value));
  const [left, setLeft] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const parsed = parse(text);
  const now = text.trim() === '' || !parsed.ok ? undefined : parsed.nanos;

  // Another amount comes from outside: a draft that is restored, or the server's. What is being typed is not replaced by itself.
  const sent = useRef(value);
  useEffect(() => {
    if (value === sent.current) return;
    sent.current = value;
    setText(value === undefined ? '' : editable(value));
  }, [value]);

  const wrong = text.trim() !== '' && !parsed.ok ? t(parsed.code) : '';
  useEffect(() => input.current?.setCustomValidity(wrong), [wrong]);
  return (
    <TextInput
      {...props}
      ref={(el) => {
        input.current = el;
        if (typeof ref === 'function') ref(el);
        else if (ref) ref.current = el;
      }}
      inputMode="decimal"
      autoComplete="off"
      leftSection="$"
      leftSectionPointerEvents="none"
      value={text}
      error={error || (left && wrong) || undefined}
      onChange={(e) => {
        const typed = e.currentTarget.value;
        setText(typed);
        const p = parse(typed);
        const next = typed.trim() === '' || !p.ok ? undefined : p.nanos;
        if (next === now && next === sent.current) return;
        sent.current = next;
        onChange(next);
      }}
      onBlur={(e) => {
        setLeft(true);
        onBlur?.(e);
      }}
    />
  );
}
