import { ActionIcon, Checkbox, Menu, Table, Tooltip, UnstyledButton } from '@mantine/core';
import { IconArrowDown, IconArrowUp, IconColumns } from '@tabler/icons-react';
import { useVirtualizer } from '@tanstack/react-virtual';
import { memo, type ReactNode, useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { kept } from '@/api/store';
import { useKeys } from '@/app/keys';
import { density } from '@/app/preferences';
import { t } from '@/text/shell';
import classes from './DataTable.module.css';

export interface Column<R> {
  id: string;
  header: string;
  /** What a screen reader and the menu of columns say where the header is short. */
  name?: string;
  cell: (row: R) => ReactNode;
  align?: 'right';
  /** A width in pixels, or a share: "1fr", "2fr". */
  width?: number | string;
  /** Makes the header a button that sorts. Sorting itself is the owner's, on the server where there is more than one page. */
  sort?: string;
  /** Not shown until it is asked for. */
  hidden?: boolean;
  /** Cannot be hidden. */
  fixed?: boolean;
}

export interface DataTableProps<R> {
  /** Names the table for the memory of its columns and for screen readers. */
  id: string;
  label: string;
  columns: Column<R>[];
  rows: R[];
  rowKey: (row: R) => string;
  /** Opens a row, by Enter or a click. */
  onOpen?: (row: R) => void;
  /** The row that is open. */
  open?: string | undefined;
  sort?: string | undefined;
  onSort?: (sort: string) => void;
  selected?: Set<string>;
  onSelect?: (selected: Set<string>) => void;
  rowActions?: (row: R) => ReactNode;
  /** Called when the end is near: the next page is wanted. */
  onEnd?: (() => void) | undefined;
  /** Height of a row in pixels; that of the density if not given. */
  rowHeight?: number;
  /** Height of the region in which rows scroll; the page scrolls if not given, up to 60 rows. */
  height?: number | string;
  footer?: ReactNode;
  tone?: (row: R) => 'dim' | undefined;
}

const virtualFrom = 60;
const hiddenColumns = kept<Record<string, string[]>>('columns', {});

/** A table of rows: sorted, selected and walked by keyboard, and quick however many rows there are. */
export function DataTable<R>(props: DataTableProps<R>) {
  const { rows, rowKey, onOpen, selected, onSelect } = props;
  const dense = density.use() === 'compact';
  const height = props.rowHeight ?? (dense ? 32 : 42);
  const hidden = hiddenColumns.use()[props.id];
  const columns = useMemo(
    () => props.columns.filter((c) => c.fixed || !(hidden ? hidden.includes(c.id) : c.hidden)),
    [props.columns, hidden],
  );
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = rows.length > virtualFrom || props.height !== undefined;
  // One that is new with each draw would have all rows measured again.
  const itemKey = useCallback((i: number) => rowKey(rows[i]!), [rows, rowKey]);
  const v = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => height,
    overscan: 12,
    enabled: virtual,
    getItemKey: itemKey,
  });
  const items = v.getVirtualItems();
  const shown = virtual ? items.map((i) => i.index) : rows.map((_, i) => i);
  const before = virtual ? (items[0]?.start ?? 0) : 0;
  const after = virtual ? v.getTotalSize() - (items.at(-1)?.end ?? 0) : 0;

  const last = shown.at(-1) ?? 0;
  const { onEnd } = props;
  useEffect(() => {
    if (onEnd && last >= rows.length - 20) onEnd();
  }, [onEnd, last, rows.length]);

  const [at, setAt] = useState<string>();
  const move = useCallback(
    (by: number) => {
      if (!rows.length) return;
      const now = at === undefined ? -1 : rows.findIndex((r) => rowKey(r) === at);
      const next = Math.min(Math.max(now + by, 0), rows.length - 1);
      const key = rowKey(rows[next]!);
      setAt(key);
      if (virtual) v.scrollToIndex(next);
      requestAnimationFrame(() => scroller.current?.querySelector<HTMLElement>(`[data-row="${CSS.escape(key)}"]`)?.focus());
    },
    [at, rows, rowKey, virtual, v],
  );
  const latest = useRef({ selected, onSelect, move });
  latest.current = { selected, onSelect, move };
  const toggle = useCallback((key: string) => {
    const now = latest.current;
    if (!now.selected || !now.onSelect) return;
    const next = new Set(now.selected);
    if (!next.delete(key)) next.add(key);
    now.onSelect(next);
  }, []);
  const step = useCallback((by: number) => latest.current.move(by), []);
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    x: () => at !== undefined && toggle(at),
    '.': () => at !== undefined && void navigator.clipboard?.writeText(at),
  });

  const all = rows.length > 0 && selected !== undefined && rows.every((r) => selected.has(rowKey(r)));
  const span = columns.length + (onSelect ? 1 : 0) + 1;
  const stretch = virtual && (props.height ?? 'max(320px, calc(100dvh - 260px))');
  return (
    <div ref={scroller} className={classes.scroller} style={stretch ? { height: stretch, maxHeight: rows.length * height + 44 } : undefined} tabIndex={0} role="region" aria-label={props.label}>
      <Table className={classes.table} stickyHeader={!!stretch} aria-rowcount={rows.length} data-dense={height < 36 || undefined}>
        <caption className="visually-hidden">{props.label}</caption>
        <Table.Thead className={classes.head}>
          <Table.Tr>
            {onSelect ? (
              <Table.Th w={36}>
                <Checkbox
                  size="xs"
                  aria-label={t('selectAll')}
                  checked={all}
                  indeterminate={!all && !!selected?.size}
                  onChange={() => onSelect(all ? new Set() : new Set(rows.map(rowKey)))}
                />
              </Table.Th>
            ) : null}
            {columns.map((c) => {
              const way = c.sort && props.sort?.replace(/^-/, '') === c.sort ? (props.sort.startsWith('-') ? 'descending' : 'ascending') : undefined;
              return (
                <Table.Th key={c.id} w={c.width} aria-sort={way} data-align={c.align}>
                  {c.sort && props.onSort ? (
                    <UnstyledButton className={classes.sort} onClick={() => props.onSort!(way === 'ascending' ? `-${c.sort}` : c.sort!)}>
                      {c.header}
                      {way === 'ascending' ? <IconArrowUp size={12} aria-hidden /> : way ? <IconArrowDown size={12} aria-hidden /> : null}
                    </UnstyledButton>
                  ) : (
                    c.header
                  )}
                </Table.Th>
              );
            })}
            <Table.Th w={40} className={classes.tools}>
              <span className="visually-hidden">{t('more')}</span>
              <ColumnMenu id={props.id} columns={props.columns} shown={columns} />
            </Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {before > 0 ? <Spacer height={before} span={span} /> : null}
          {shown.map((i) => {
            const row = rows[i];
            if (row === undefined) return null;
            const key = rowKey(row);
            return (
              <Line
                key={key}
                id={key}
                row={row}
                place={virtual ? i + 1 : undefined}
                height={height}
                columns={columns}
                open={props.open === key}
                tone={props.tone?.(row)}
                selectable={!!onSelect}
                selected={selected?.has(key) ?? false}
                onOpen={onOpen}
                onFocus={setAt}
                onToggle={toggle}
                onStep={step}
                actions={props.rowActions}
              />
            );
          })}
          {after > 0 ? <Spacer height={after} span={span} /> : null}
        </Table.Tbody>
        {props.footer ? <Table.Tfoot>{props.footer}</Table.Tfoot> : null}
      </Table>
    </div>
  );
}

interface LineProps<R> {
  id: string;
  row: R;
  /** Which row it is, where not all are there. */
  place: number | undefined;
  height: number;
  columns: Column<R>[];
  open: boolean;
  tone: 'dim' | undefined;
  selectable: boolean;
  selected: boolean;
  onOpen: ((row: R) => void) | undefined;
  onFocus: (id: string) => void;
  onToggle: (id: string) => void;
  onStep: (by: number) => void;
  actions: ((row: R) => ReactNode) | undefined;
}

// While somebody scrolls, only rows that come are drawn.
const Line = memo(function Line<R>({ id, row, place, height, columns, open, tone, selectable, selected, onOpen, onFocus, onToggle, onStep, actions }: LineProps<R>) {
  return (
    <Table.Tr
      data-row={id}
      aria-rowindex={place}
      tabIndex={onOpen ? 0 : -1}
      className={classes.row}
      style={{ height }}
      data-open={open || undefined}
      data-tone={tone}
      data-pressable={onOpen ? true : undefined}
      onFocus={() => onFocus(id)}
      onClick={(e) => {
        if (!onOpen || (e.target as HTMLElement).closest('a,button,input,label,[role=menuitem]')) return;
        if (!getSelection()?.toString()) onOpen(row);
      }}
      onKeyDown={(e) => {
        if (e.key === 'Enter' && onOpen && e.target === e.currentTarget) onOpen(row);
        if (e.key === 'ArrowDown' || e.key === 'ArrowUp') {
          if (e.target !== e.currentTarget) return;
          e.preventDefault();
          onStep(e.key === 'ArrowDown' ? 1 : -1);
        }
      }}
    >
      {selectable ? (
        <Table.Td>
          <Checkbox size="xs" aria-label={t('selectRow', { name: id })} checked={selected} onChange={() => onToggle(id)} />
        </Table.Td>
      ) : null}
      {columns.map((c) => (
        <Table.Td key={c.id} data-align={c.align}>
          {c.cell(row)}
        </Table.Td>
      ))}
      <Table.Td className={classes.tools}>{actions?.(row)}</Table.Td>
    </Table.Tr>
  );
}) as <R>(props: LineProps<R>) => ReactNode;

function Spacer({ height, span }: { height: number; span: number }) {
  return (
    <Table.Tr aria-hidden className={classes.spacer}>
      <Table.Td colSpan={span} style={{ height, padding: 0, border: 0 }} />
    </Table.Tr>
  );
}

function ColumnMenu<R>({ id, columns, shown }: { id: string; columns: Column<R>[]; shown: Column<R>[] }) {
  const can = columns.filter((c) => !c.fixed);
  if (can.length < 3) return null;
  const visible = new Set(shown.map((c) => c.id));
  const toggle = (c: Column<R>) => {
    const now = columns.filter((x) => !visible.has(x.id)).map((x) => x.id);
    const next = now.includes(c.id) ? now.filter((x) => x !== c.id) : [...now, c.id];
    hiddenColumns.set((all) => ({ ...all, [id]: next }));
  };
  return (
    <Menu closeOnItemClick={false}>
      <Menu.Target>
        <Tooltip label={t('columns')}>
          <ActionIcon size={24} aria-label={t('columns')}>
            <IconColumns size={14} aria-hidden />
          </ActionIcon>
        </Tooltip>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{t('columns')}</Menu.Label>
        {can.map((c) => (
          <Menu.CheckboxItem key={c.id} checked={visible.has(c.id)} onChange={() => toggle(c)}>
            {c.name ?? c.header}
          </Menu.CheckboxItem>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
