import { Combobox, Tooltip, useCombobox } from '@mantine/core';
import { IconBracketsContain } from '@tabler/icons-react';
import { type KeyboardEvent, type ReactNode, useRef, useState } from 'react';
import { t } from '@/text/endpoint-form';
import { useForm } from './context';
import { hold } from './held';
import { RefOptions, type Picked } from './RefOptions';
import { RefPill } from './RefPill';
import { join, type Part, parts, type Ref, refs, withVariables, write } from './value';
import classes from './ValueField.module.css';

/** What somebody has begun to write at the end of a text, to choose a reference by. */
const asking = /(?:^|[\s:=;,])@([\w.-]*)$|\$\{(?:(?:secret|env):)?([\w.-]*)$/;

/**
 * A value of text and references, which are pills between the text. "@" or "${" asks which. A credential that is pasted or typed
 * becomes a pill as well, until it is decided where it belongs.
 */
export function ValueField({
  value,
  name,
  label,
  field,
  describedBy,
  error,
  onChange,
  onAccept,
  onCreate,
  onReplace,
}: {
  value: string;
  /** Name of the header or parameter. */
  name: string;
  label: string;
  field: string;
  describedBy: string;
  error: boolean;
  onChange: (value: string) => void;
  /** Enter, while a credential waits to be stored. */
  onAccept: () => void;
  onCreate: (secret: string) => void;
  onReplace: (secret: string) => void;
}) {
  const form = useForm();
  const [search, setSearch] = useState<string | undefined>(undefined);
  const [within, setWithin] = useState(0);
  const caret = useRef<{ part: number; at: number } | undefined>(undefined);
  const root = useRef<HTMLDivElement>(null);
  const combobox = useCombobox({ onDropdownClose: () => setSearch(undefined), onDropdownOpen: (source) => source === 'keyboard' && combobox.selectFirstOption() });
  const list = parts(value);
  const focus = (part: number, at?: number) =>
    requestAnimationFrame(() => {
      const el = root.current?.querySelector<HTMLElement>(`[data-part="${part}"]`);
      el?.focus();
      if (at !== undefined && el instanceof HTMLInputElement) el.setSelectionRange(at, at);
    });
  const put = (at: number, part: Part) => onChange(join(list.map((p, i) => (i === at ? part : p))));
  const edit = (at: number, text: string, position: number) => {
    const asked = asking.exec(text.slice(0, position));
    caret.current = { part: at, at: position };
    setWithin(at);
    put(at, text);
    if (asked) {
      setSearch(asked[1] ?? asked[2] ?? '');
      combobox.openDropdown();
      combobox.updateSelectedOptionIndex();
    } else combobox.closeDropdown();
  };
  const insert = (ref: Ref) => {
    const at = caret.current ?? { part: list.length - 1, at: (list.at(-1) as string).length };
    const text = typeof list[at.part] === 'string' ? (list[at.part] as string) : '';
    const before = text.slice(0, at.at).replace(asking, (all) => (/^[\s:=;,]/.test(all) ? all[0]! : ''));
    put(at.part, before + write(ref) + text.slice(at.at));
    caret.current = undefined;
    combobox.closeDropdown();
    focus(at.part + 2, 0);
  };
  const picked = (p: Picked) => {
    if (p.kind === 'create') {
      combobox.closeDropdown();
      insert({ kind: 'secret', name: p.name });
      onCreate(p.name);
    } else insert(p);
  };
  const remove = (pill: number) => {
    const before = list[pill - 1] as string;
    onChange(join(list.filter((_, i) => i !== pill)));
    focus(pill - 1, before.length);
  };
  const keys = (e: KeyboardEvent<HTMLInputElement>, at: number) => {
    const el = e.currentTarget;
    const start = el.selectionStart === 0 && el.selectionEnd === 0;
    const end = el.selectionStart === el.value.length && el.selectionEnd === el.value.length;
    if (combobox.dropdownOpened && ['ArrowUp', 'ArrowDown', 'Enter', 'Escape'].includes(e.key)) {
      if (e.key === 'Escape') e.stopPropagation();
    } else if (e.key === 'Enter' && !e.metaKey && !e.ctrlKey) {
      e.preventDefault();
      if (refs(value).some((r) => r.kind === 'held')) onAccept();
    } else if (e.key === 'Backspace' && start && at > 0) {
      e.preventDefault();
      remove(at - 1);
    } else if (e.key === 'Delete' && end && at < list.length - 1) {
      e.preventDefault();
      remove(at + 1);
    } else if (e.key === 'ArrowLeft' && start && at > 0) {
      e.preventDefault();
      focus(at - 1);
    } else if (e.key === 'ArrowRight' && end && at < list.length - 1) {
      e.preventDefault();
      focus(at + 1);
    }
  };
  const settle = () => {
    const next = hold(withVariables(value), name);
    if (next !== value) onChange(next);
  };

  const segment = (text: string, i: number): ReactNode => {
    const last = i === list.length - 1;
    const input = (
      <input
        data-part={i}
        data-empty={(text === '' && !last) || undefined}
        data-field={last ? field : undefined}
        className={classes.text}
        data-grow={last || undefined}
        value={text}
        size={Math.max(1, text.length)}
        tabIndex={text === '' && !last ? -1 : undefined}
        aria-label={last ? label : t('textBefore', { label })}
        aria-invalid={error || undefined}
        aria-describedby={describedBy}
        autoComplete="off"
        autoCapitalize="off"
        spellCheck={false}
        disabled={form.disabled}
        placeholder={last && list.length === 1 ? t('valuePlaceholder') : undefined}
        onChange={(e) => edit(i, e.currentTarget.value, e.currentTarget.selectionStart ?? e.currentTarget.value.length)}
        onSelect={(e) => {
          caret.current = { part: i, at: e.currentTarget.selectionStart ?? 0 };
        }}
        onPaste={(e) => {
          const pasted = e.clipboardData.getData('text/plain').replace(/[\r\n]+$/, '');
          const el = e.currentTarget;
          const whole = join(list.map((p, n) => (n === i ? text.slice(0, el.selectionStart ?? 0) + pasted + text.slice(el.selectionEnd ?? 0) : p)));
          const next = hold(withVariables(whole), name);
          if (next === whole) return;
          e.preventDefault();
          combobox.closeDropdown();
          onChange(next);
          focus(parts(next).length - 1, 0);
        }}
        onKeyDown={(e) => keys(e, i)}
      />
    );
    return (
      <Combobox.EventsTarget key={i} withAriaAttributes={combobox.dropdownOpened && (within === i || (last && within >= list.length))}>
        {input}
      </Combobox.EventsTarget>
    );
  };

  return (
    <Combobox store={combobox} onOptionSubmit={(v) => picked(JSON.parse(v) as Picked)} position="bottom-start" width={300} offset={4}>
      <Combobox.DropdownTarget>
        <div
          ref={root}
          className={classes.value}
          data-error={error || undefined}
          data-disabled={form.disabled || undefined}
          onFocus={(e) => {
            const part = (e.target as HTMLElement).dataset.part;
            if (part !== undefined) setWithin(Number(part));
          }}
          onBlur={(e) => {
            if (e.currentTarget.contains(e.relatedTarget)) return;
            settle();
            combobox.closeDropdown();
            form.touch(field);
          }}
          onMouseDown={(e) => {
            if (e.target !== e.currentTarget) return;
            e.preventDefault();
            focus(list.length - 1);
          }}
        >
          {list.map((p, i) =>
            typeof p === 'string' ? (
              segment(p, i)
            ) : (
              <RefPill key={i} part={i} of={p} onRemove={() => remove(i)} onCreate={onCreate} onReplace={onReplace} onMove={(by) => focus(i + by)} />
            ),
          )}
          <Tooltip label={t('insertReference')}>
            <button
              type="button"
              className={classes.insert}
              aria-label={t('insertReferenceIn', { label })}
              disabled={form.disabled}
              onMouseDown={(e) => e.preventDefault()}
              onClick={() => {
                setSearch('');
                focus(caret.current?.part ?? list.length - 1);
                combobox.toggleDropdown();
              }}
            >
              <IconBracketsContain size={16} aria-hidden />
            </button>
          </Tooltip>
        </div>
      </Combobox.DropdownTarget>
      <Combobox.Dropdown>
        {combobox.dropdownOpened ? <RefOptions search={search ?? ''} /> : null}
      </Combobox.Dropdown>
    </Combobox>
  );
}
