// What a live list holds: the newest requests, a mark where it was disconnected, and how many there really are. It knows
// neither streams nor the screen.

import type { TailRequestsResponse } from '@/gen/tollgate/control/v1/request_pb';
import { fromSeen, type Row } from './rows';

/** Where the list was disconnected, or requests may be missing. */
export interface Mark {
  mark: 'reconnected' | 'gap';
  key: string;
  /** Milliseconds without a connection. */
  away: number;
  /** Requests that came of that time. */
  filled: number;
}

export type Item = Row | Mark;
export const isMark = (item: Item): item is Mark => 'mark' in item;

/** How many requests a live list keeps. */
export const most = 2000;
/** Requests that are shown in a second unless all are wanted. */
export const perSecond = 20;
const rateOver = 5000;

export interface View {
  /** Newest first. */
  items: Item[];
  /** That wait, because somebody reads. */
  waiting: number;
  /** Requests in a second, those included that are not shown. */
  rate: number;
  /** One of so many is shown; 1 means all. */
  sample: number;
  received: number;
  errors: number;
}

export class TailBuffer {
  private shown: Item[] = [];
  private held: Item[] = [];
  private paused = false;
  private seconds: { at: number; requests: number; left: number }[] = [];
  private lostAt: number | undefined;
  private counted = { received: 0, errors: 0 };
  private marks = 0;
  /** Grows with every change. */
  version = 0;
  /** Where to go on. */
  token = '';

  /** Takes a message of the stream. */
  add(m: TailRequestsResponse, now: number): void {
    this.token = m.resumeToken;
    const rows = m.requests.map(fromSeen).reverse();
    const left = Number(m.leftOut);
    this.counted.received += rows.length + left;
    this.counted.errors += rows.filter((r) => r.status >= 400).length;
    this.seconds.push({ at: now, requests: rows.length + left, left });
    this.seconds = this.seconds.filter((s) => now - s.at < rateOver);
    const items: Item[] = rows;
    if (this.lostAt !== undefined) {
      items.push({ mark: 'reconnected', key: `mark-${++this.marks}`, away: now - this.lostAt, filled: rows.length + left });
      this.lostAt = undefined;
    } else if (m.gap && this.shown.length + this.held.length > 0) {
      items.push({ mark: 'gap', key: `mark-${++this.marks}`, away: 0, filled: 0 });
    }
    if (!items.length) return;
    this.version++;
    if (this.paused) this.held = cut([...items, ...this.held]);
    else this.shown = cut([...items, ...this.shown]);
  }

  /** The stream broke. */
  lost(now: number): void {
    if (this.token && this.lostAt === undefined) this.lostAt = now;
  }

  /** While it is paused what comes waits, up to as many as are kept. */
  pause(on: boolean): void {
    if (on === this.paused) return;
    this.paused = on;
    if (!on && this.held.length) {
      this.shown = cut([...this.held, ...this.shown]);
      this.held = [];
    }
    this.version++;
  }

  clear(): void {
    this.shown = [];
    this.held = [];
    this.seconds = [];
    this.lostAt = undefined;
    this.token = '';
    this.version++;
  }

  view(now: number): View {
    const recent = this.seconds.filter((s) => now - s.at < rateOver);
    const requests = recent.reduce((sum, s) => sum + s.requests, 0);
    const left = recent.reduce((sum, s) => sum + s.left, 0);
    // What has come within less time than is looked at must not read as little.
    const over = Math.min(rateOver, Math.max(now - (recent[0]?.at ?? now), 1000));
    return {
      items: this.shown,
      waiting: this.held.filter((i) => !isMark(i)).length,
      rate: requests / (over / 1000),
      sample: left > 0 && requests > left ? requests / (requests - left) : 1,
      ...this.counted,
    };
  }
}

function cut(items: Item[]): Item[] {
  if (items.length > most) items.length = most;
  return items;
}
