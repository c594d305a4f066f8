import { CloseButton, TextInput } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { useEffect, useRef, useState } from 'react';
import { useKeys } from '@/app/keys';
import { t } from '@/text/shell';

/** The filter of a list, in the language that every list knows: words, and `field:value`. "/" goes there. */
export function FilterInput({
  value,
  onChange,
  onEnter,
  placeholder,
  error,
  width = 320,
  label,
}: {
  value: string | undefined;
  onChange: (value: string | undefined) => void;
  /** Told what stands there when Enter is pressed, instead of onChange; it says what is left of it. */
  onEnter?: (text: string) => string;
  placeholder?: string;
  error?: string | undefined;
  width?: number;
  label?: string;
}) {
  const input = useRef<HTMLInputElement>(null);
  const [text, setText] = useState(value ?? '');
  const sent = useRef(value ?? '');
  useEffect(() => {
    if ((value ?? '') !== sent.current) {
      sent.current = value ?? '';
      setText(value ?? '');
    }
  }, [value]);
  useEffect(() => {
    if (text === sent.current) return;
    const timer = setTimeout(() => {
      sent.current = text;
      onChange(text.trim() || undefined);
    }, 150);
    return () => clearTimeout(timer);
  }, [text, onChange]);
  useKeys({ '/': () => input.current?.focus() });
  return (
    <TextInput
      ref={input}
      type="search"
      w={{ base: '100%', xs: width }}
      size="xs"
      aria-label={label ?? t('filter')}
      placeholder={placeholder ?? t('filter')}
      leftSection={<IconSearch size={14} aria-hidden />}
      rightSection={text ? <CloseButton size="xs" aria-label={t('clearFilter')} onClick={() => setText('')} /> : null}
      value={text}
      error={error}
      onChange={(e) => setText(e.currentTarget.value)}
      onKeyDown={(e) => {
        if (e.key === 'Escape') {
          if (text) setText('');
          else e.currentTarget.blur();
        }
        // Who has said what they look for goes on in the list.
        if (e.key === 'Enter' && !e.nativeEvent.isComposing) {
          e.preventDefault();
          e.currentTarget.blur();
          sent.current = onEnter ? onEnter(text.trim()) : text;
          setText(sent.current);
          if (!onEnter) onChange(text.trim() || undefined);
        }
      }}
    />
  );
}
