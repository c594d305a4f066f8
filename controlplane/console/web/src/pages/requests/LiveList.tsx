import { Button } from '@mantine/core';
import { IconPlayerPauseFilled, IconPlayerPlayFilled } from '@tabler/icons-react';
import { useEffect, useMemo, useRef, useState } from 'react';
import { useNow } from '@/app/clock';
import { useKeys } from '@/app/keys';
import { announce } from '@/app/preferences';
import { Empty, NoMatch } from '@/components/Region';
import { Status } from '@/components/Status';
import { count } from '@/lib/text';
import { t } from '@/text/requests';
import classes from './Filter.module.css';
import { Histogram } from './Histogram';
import { RequestTable } from './RequestTable';
import type { Row } from './rows';
import { countOf, type Selection } from './selection';
import { isMark, type Item } from './tail';
import { useGateway } from './useGateway';
import { useTail } from './useTail';

const announceEvery = 5000;
/** How much of the past the histogram of a live list shows. */
const looksBack = 300_000;
const atLeast = 60_000;

/** Requests as they end, the newest on top. Who reads, scrolls or has one open is not disturbed: what comes waits. */
export function LiveList({
  selection,
  all,
  setAll,
  sel,
  open,
  close,
  clear,
  onItems,
  onZoom,
}: {
  selection: Selection;
  all: boolean;
  setAll: (all: boolean) => void;
  sel: string | undefined;
  open: (row: Row) => void;
  /** Closes what is open. */
  close: () => void;
  clear: () => void;
  /** Told what is shown, for who walks through it. */
  onItems: (items: Item[]) => void;
  onZoom: (from: number, to: number) => void;
}) {
  const [paused, setPaused] = useState(false);
  const [over, setOver] = useState(false);
  const [scrolled, setScrolled] = useState(false);
  const [top, setTop] = useState(0);
  const reading = over || scrolled || !!sel;
  const live = useTail(selection, { on: true, all, paused, reading });
  const { view } = live;
  const gateway = useGateway();
  useKeys({ l: () => setPaused((p) => !p) });
  useEffect(() => onItems(view.items), [onItems, view.items]);
  const now = useNow();
  // The chart is drawn once a second: it costs more than the rows do, and moves by seconds.
  const charted = useMemo(() => view.items, [now]); // eslint-disable-line react-hooks/exhaustive-deps
  const oldest = charted.at(-1);
  const from = Math.max(now - looksBack, Math.min(oldest && !isMark(oldest) ? oldest.time : now, now - atLeast));
  const rate = view.rate >= 10 ? count(Math.round(view.rate)) : view.rate.toFixed(1);
  const curl = `curl -i ${gateway}/${endpointIn(selection)} -H "Authorization: Bearer $TOLLGATE_KEY"`;
  return (
    <div className={`card ${classes.list}`} onPointerLeave={() => setOver(false)}>
      <div className={classes.chart}>
        <Histogram items={charted} from={from} to={now} onZoom={onZoom} />
      </div>
      <div className={classes.foot} style={{ borderTop: 0 }}>
        <span className={classes.live}>
          <Status tone={live.broken ? 'warn' : paused ? 'off' : live.connected ? 'ok' : 'off'}>
            {live.broken ? t('reconnecting') : paused ? t('pausedNow') : live.connected ? t('live') : t('connecting')}
          </Status>
          <span className="num">{view.sample > 1.05 ? t('sampled', { n: view.sample.toFixed(view.sample < 10 ? 1 : 0), rate }) : t('rate', { rate })}</span>
          {view.sample > 1.05 || all ? (
            <Button size="compact-xs" variant="subtle" onClick={() => setAll(!all)}>
              {all ? t('showSample') : t('showAll')}
            </Button>
          ) : null}
        </span>
        <Button
          size="compact-xs"
          variant="default"
          leftSection={paused ? <IconPlayerPlayFilled size={11} aria-hidden /> : <IconPlayerPauseFilled size={11} aria-hidden />}
          onClick={() => setPaused(!paused)}
        >
          {paused ? t('resume') : t('pause')}
        </Button>
      </div>
      <div style={{ position: 'relative' }} onPointerEnter={(e) => e.pointerType === 'mouse' && setOver(true)} onFocus={() => setOver(true)} onBlur={() => setOver(false)}>
        {view.waiting > 0 ? (
          <Button
            className={classes.pill}
            size="compact-sm"
            radius="xl"
            onClick={() => {
              setPaused(false);
              setOver(false);
              setScrolled(false);
              setTop((n) => n + 1);
              close();
            }}
          >
            {t('newRows', { n: view.waiting })}
          </Button>
        ) : null}
        {view.items.length ? (
          <RequestTable items={view.items} open={sel} onOpen={open} onScrolled={setScrolled} toTop={top} label={t('live')} height="max(320px, calc(100dvh - 400px))" />
        ) : countOf(selection) ? (
          <NoMatch filters={countOf(selection)} onClear={clear} />
        ) : (
          <Empty title={t('waiting')} cli={curl}>
            {t('waitingWhy')}
          </Empty>
        )}
      </div>
      <Announcer received={view.received} errors={view.errors} />
    </div>
  );
}

const endpointIn = (s: Selection) => s.endpoint?.find((e) => !e.startsWith('!')) ?? '…';

/** Reads out how many requests came, at most every five seconds and only for who asked for it. */
function Announcer({ received, errors }: { received: number; errors: number }) {
  const on = announce.use();
  const [text, setText] = useState('');
  const latest = useRef({ received, errors });
  latest.current = { received, errors };
  useEffect(() => {
    if (!on) return;
    let told = { ...latest.current };
    const timer = setInterval(() => {
      const next = latest.current;
      if (next.received === told.received) return;
      setText(t('announced', { n: next.received - told.received, errors: next.errors - told.errors }));
      told = { ...next };
    }, announceEvery);
    return () => clearInterval(timer);
  }, [on]);
  return (
    <div className="visually-hidden" aria-live="polite">
      {on ? text : ''}
    </div>
  );
}
