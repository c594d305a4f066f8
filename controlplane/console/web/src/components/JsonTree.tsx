import { UnstyledButton } from '@mantine/core';
import { IconChevronRight } from '@tabler/icons-react';
import { useState } from 'react';
import { t } from '@/text/json';
import classes from './JsonTree.module.css';

export type Step = string | number;
export type Path = Step[];

export interface JsonTreeProps {
  /** What JSON.parse made. */
  value: unknown;
  /** Makes numbers and lists buttons. */
  onPick?: ((path: Path, value: unknown) => void) | undefined;
  /** Which values are buttons; numbers and lists if not said. */
  pickable?: (value: unknown) => boolean;
  /** Paths that are marked, as told by `pathName`. */
  picked?: Set<string>;
  label?: string;
}

/** How many children of a value are shown at once. */
const page = 50;
/** Objects and lists above so many children, or below so many levels, are closed at first. */
const openUpTo = 30;
const openLevels = 4;

/** A path as people read it: usage.tokens[0].count */
export const pathName = (path: Path) => path.map((s, i) => (typeof s === 'number' ? `[${s}]` : i ? `.${s}` : s)).join('');

const countable = (value: unknown) => typeof value === 'number' || Array.isArray(value);

/** A document, to be looked into and, where something can be picked, to pick from. */
export function JsonTree({ value, onPick, pickable = countable, picked, label }: JsonTreeProps) {
  return (
    <div className={classes.tree} role="group" aria-label={label ?? t('document')}>
      <Value path={[]} value={value} onPick={onPick} pickable={pickable} picked={picked} />
    </div>
  );
}

interface NodeProps {
  path: Path;
  value: unknown;
  onPick: JsonTreeProps['onPick'];
  pickable: (value: unknown) => boolean;
  picked: Set<string> | undefined;
}

function Value(props: NodeProps) {
  const { path, value } = props;
  if (value !== null && typeof value === 'object') {
    const list = Array.isArray(value);
    const entries: [Step, unknown][] = list ? value.map((v, i) => [i, v]) : Object.entries(value);
    return <Branch {...props} entries={entries} list={list} />;
  }
  return (
    <div className={classes.line}>
      <Name path={path} />
      <Leaf {...props} />
    </div>
  );
}

function Name({ path }: { path: Path }) {
  const last = path.at(-1);
  if (last === undefined) return null;
  return <span className={typeof last === 'number' ? classes.index : classes.key}>{`${last}: `}</span>;
}

function Leaf({ path, value, onPick, pickable, picked }: NodeProps) {
  const kind = value === null ? 'null' : typeof value;
  const text = kind === 'string' ? JSON.stringify(value) : String(value);
  const shown = text.length > 400 ? `${text.slice(0, 400)}…` : text;
  if (!onPick || !pickable(value)) return <span className={classes[kind]}>{shown}</span>;
  const name = pathName(path);
  return (
    <UnstyledButton className={classes.pick} data-picked={picked?.has(name) || undefined} aria-label={t('pick', { path: name, value: shown })} onClick={() => onPick(path, value)}>
      <span className={classes[kind]}>{shown}</span>
    </UnstyledButton>
  );
}

function Branch({ entries, list, ...props }: NodeProps & { entries: [Step, unknown][]; list: boolean }) {
  const { path, value, onPick, pickable, picked } = props;
  const [open, setOpen] = useState(path.length === 0 || (path.length < openLevels && entries.length <= openUpTo));
  const [shown, setShown] = useState(page);
  const name = pathName(path);
  const size = t(list ? 'items' : 'fields', { n: entries.length });
  return (
    <div>
      <div className={classes.line}>
        <UnstyledButton className={classes.toggle} aria-expanded={open} aria-label={t(open ? 'fold' : 'unfold', { path: name || t('document') })} onClick={() => setOpen(!open)}>
          <IconChevronRight size={14} aria-hidden className={classes.chevron} data-open={open || undefined} />
        </UnstyledButton>
        <Name path={path} />
        {onPick && list && path.length > 0 && pickable(value) ? (
          <UnstyledButton className={classes.pick} data-picked={picked?.has(name) || undefined} aria-label={t('pickLength', { path: name, n: entries.length })} onClick={() => onPick(path, value)}>
            <span className={classes.size}>{size}</span>
          </UnstyledButton>
        ) : (
          <span className={classes.size}>{size}</span>
        )}
      </div>
      {open && entries.length ? (
        <div className={classes.kids}>
          {entries.slice(0, shown).map(([step, v]) => (
            <Value key={step} {...props} path={[...path, step]} value={v} />
          ))}
          {entries.length > shown ? (
            <UnstyledButton className={classes.more} onClick={() => setShown(shown + page * 4)}>
              {t('more', { n: entries.length - shown })}
            </UnstyledButton>
          ) : null}
        </div>
      ) : null}
    </div>
  );
}
