import { useVirtualizer } from '@tanstack/react-virtual';
import { memo, type ReactNode, useCallback, useEffect, useRef } from 'react';
import { useKeys } from '@/app/keys';
import { zone } from '@/app/preferences';
import { Status, type Tone } from '@/components/Status';
import { short } from '@/lib/money';
import { preciseClock, shortDay, took, type Zone } from '@/lib/time';
import { t } from '@/text/requests';
import type { Row } from './rows';
import { isMark, type Item, type Mark } from './tail';
import classes from './RequestTable.module.css';

export const rowHeight = 28;

export const toneOf = (status: number): Tone => (status >= 500 || status === 0 ? 'bad' : status >= 400 ? 'warn' : 'ok');

/** Requests in rows of one height. Only those that are seen are there. */
export function RequestTable({
  items,
  open,
  onOpen,
  onEnd,
  onScrolled,
  toTop = 0,
  label,
  height = 'max(320px, calc(100dvh - 330px))',
  days,
  footer,
}: {
  items: Item[];
  /** Id of the request that is open. */
  open: string | undefined;
  onOpen: (row: Row) => void;
  onEnd?: (() => void) | undefined;
  /** Called when the newest rows are scrolled away, and when they are back. */
  onScrolled?: ((on: boolean) => void) | undefined;
  /** Grows when the newest rows are wanted. */
  toTop?: number;
  label: string;
  height?: number | string;
  /** Whether times need their day. */
  days?: boolean;
  footer?: ReactNode;
}) {
  const z = zone.use();
  const scroller = useRef<HTMLDivElement>(null);
  const v = useVirtualizer({
    count: items.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: 8,
  });
  const shown = v.getVirtualItems();
  const last = shown.at(-1)?.index ?? 0;
  useEffect(() => {
    if (onEnd && items.length && last >= items.length - 15) onEnd();
  }, [onEnd, last, items.length]);

  const at = useRef<string>(undefined);
  const latest = useRef({ items, onOpen });
  latest.current = { items, onOpen };
  const move = useCallback(
    (by: number, andOpen: boolean) => {
      const all = latest.current.items;
      const from = all.findIndex((i) => i.key === at.current);
      let next = from;
      do next += by;
      while (all[next] && isMark(all[next]!));
      const item = all[Math.max(next, 0)];
      if (!item || isMark(item)) return;
      at.current = item.key;
      v.scrollToIndex(Math.max(next, 0));
      if (andOpen) latest.current.onOpen(item);
      else requestAnimationFrame(() => scroller.current?.querySelector<HTMLElement>(`[data-row="${CSS.escape(item.key)}"]`)?.focus({ preventScroll: true }));
    },
    [v],
  );
  useEffect(() => {
    if (open) at.current = latest.current.items.find((i) => !isMark(i) && i.id === open)?.key ?? at.current;
  }, [open]);
  useKeys({ j: () => move(1, !!open), k: () => move(-1, !!open) });

  const scrolled = useRef(false);
  useEffect(() => {
    if (toTop && scroller.current) scroller.current.scrollTop = 0;
  }, [toTop]);
  return (
    <div
      ref={scroller}
      className={classes.scroller}
      style={{ height }}
      tabIndex={0}
      role="region"
      aria-label={label}
      onScroll={(e) => {
        const now = e.currentTarget.scrollTop > rowHeight / 2;
        if (now === scrolled.current) return;
        scrolled.current = now;
        onScrolled?.(now);
      }}
    >
      <div role="table" aria-label={label} aria-rowcount={items.length} className={classes.table} data-days={days || undefined}>
        <div role="row" className={classes.head}>
          <Head>{t('time')}</Head>
          <Head>{t('status')}</Head>
          <Head>{t('method')}</Head>
          <Head>{t('path')}</Head>
          <Head>{t('endpoint')}</Head>
          <Head>{t('key')}</Head>
          <Head right>{t('cost')}</Head>
          <Head>{t('duration')}</Head>
          <Head>{t('edge')}</Head>
          <Head>{t('flags')}</Head>
        </div>
        <div
          role="rowgroup"
          className={classes.rows}
          style={{ height: v.getTotalSize() }}
        >
          {/* Keyed by place: what moves down is written anew where it stands, which is quicker than making rows. */}
          {shown.map((i) => {
            const item = items[i.index];
            if (!item) return null;
            return isMark(item) ? (
              <MarkRow key={i.index} mark={item} top={i.start} />
            ) : (
              <RequestRow key={i.index} row={item} top={i.start} open={open === item.id} onOpen={onOpen} onStep={move} z={z} days={days ?? false} />
            );
          })}
        </div>
      </div>
      {footer}
    </div>
  );
}

function Head({ children, right }: { children: ReactNode; right?: boolean }) {
  return (
    <div role="columnheader" className={classes.th} data-right={right || undefined}>
      {children}
    </div>
  );
}

function MarkRow({ mark, top }: { mark: Mark; top: number }) {
  return (
    <div role="row" className={classes.mark} style={{ transform: `translateY(${top}px)` }}>
      <span role="cell">{mark.mark === 'gap' ? t('gapMark') : t('reconnected', { n: mark.filled, away: took(mark.away) })}</span>
    </div>
  );
}

interface RowProps {
  row: Row;
  top: number;
  open: boolean;
  onOpen: (row: Row) => void;
  onStep: (by: number, open: boolean) => void;
  z: Zone;
  days: boolean;
}

const RequestRow = memo(function RequestRow({ row, top, open, onOpen, onStep, z, days }: RowProps) {
  return (
    <div
      role="row"
      tabIndex={0}
      data-row={row.key}
      data-open={open || undefined}
      className={classes.row}
      style={{ transform: `translateY(${top}px)` }}
      onClick={() => {
        if (!getSelection()?.toString()) onOpen(row);
      }}
      onKeyDown={(e) => {
        if (e.key === 'Enter') onOpen(row);
        else if (e.key === 'ArrowDown' || e.key === 'ArrowUp') {
          e.preventDefault();
          onStep(e.key === 'ArrowDown' ? 1 : -1, open);
        }
      }}
    >
      <div role="cell" className={`num ${classes.time}`}>
        {days ? <span className="dim">{`${shortDay(row.time, z)} `}</span> : null}
        {preciseClock(row.time, z)}
      </div>
      <div role="cell" title={row.code || undefined}>
        <Status tone={toneOf(row.status)}>{row.status || t('noAnswer')}</Status>
      </div>
      <div role="cell" className="dim">
        {row.method || '–'}
      </div>
      <div role="cell" className={`mono ${classes.clip}`} title={row.path}>
        {row.path || '–'}
      </div>
      <div role="cell" className={classes.clip} title={row.endpoint}>
        {row.endpoint || '–'}
      </div>
      <div role="cell" className={classes.clip} title={row.keyName}>
        {row.keyName || '–'}
      </div>
      <div role="cell" className={classes.cost}>
        {row.cost === undefined ? <span className="dim">{'–'}</span> : short(row.cost)}
      </div>
      <div role="cell">
        <TimeBar row={row} />
      </div>
      <div role="cell" className={classes.clip}>
        {row.edge}
      </div>
      <div role="cell" className={classes.flags}>
        {row.flags.map((f) => (
          <span key={f} data-flag={f}>
            {t(`flag_${f}`)}
          </span>
        ))}
      </div>
    </div>
  );
});

/** Times from a tenth of a millisecond to a minute fit on one line if each ten times longer takes as much of it. */
const decades = 5.8;
export const lengthOf = (ms: number) => Math.min(Math.max((Math.log10(Math.max(ms, 0.1)) + 1) / decades, 0.02), 1);

function TimeBar({ row }: { row: Row }) {
  const known = row.gateway !== undefined;
  const share = known && row.total > 0 ? row.gateway! / row.total : 0;
  return (
    <span className={classes.timing} title={known ? t('barLabel', { total: took(row.total), gateway: took(row.gateway!), upstream: took(row.upstream ?? 0) }) : undefined}>
      <span className={classes.track} aria-hidden>
        <span className={classes.bar} style={{ width: `${lengthOf(row.total) * 100}%` }} data-unknown={known ? undefined : true}>
          {known ? <span className={classes.gateway} style={{ width: `${Math.max(share * 100, 4)}%` }} /> : null}
        </span>
      </span>
      <span className="num">{took(row.total)}</span>
    </span>
  );
}
