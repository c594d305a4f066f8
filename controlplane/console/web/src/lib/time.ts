// Times of the wire and how they are told: relative in tables, exact on hover, in UTC or in the zone of the browser.

import type { Duration, Timestamp } from '@bufbuild/protobuf/wkt';
import { language } from './text';

/** Whole milliseconds since 1970, or undefined. A part of one could not be sent back: it makes no whole number of nanoseconds. */
export function millis(t: Timestamp | undefined): number | undefined {
  return t ? Number(t.seconds) * 1000 + Math.floor(t.nanos / 1e6) : undefined;
}

/** Milliseconds of a duration; 0 for none. */
export function span(d: Duration | undefined): number {
  return d ? Number(d.seconds) * 1000 + d.nanos / 1e6 : 0;
}

export type Zone = 'utc' | 'local';

const formats = new Map<string, Intl.DateTimeFormat>();
function format(zone: Zone, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = zone + JSON.stringify(options);
  let f = formats.get(key);
  if (!f) {
    f = new Intl.DateTimeFormat(language, { ...options, hourCycle: 'h23', ...(zone === 'utc' ? { timeZone: 'UTC' } : {}) });
    formats.set(key, f);
  }
  return f;
}

/** 12:03:04 */
export const clock = (ms: number, zone: Zone) => format(zone, { hour: '2-digit', minute: '2-digit', second: '2-digit' }).format(ms);
/** 12:03:04.112 */
export const preciseClock = (ms: number, zone: Zone) =>
  format(zone, { hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3 }).format(ms);
/** 23 Nov 2026 */
export const day = (ms: number, zone: Zone) => order(format(zone, { day: 'numeric', month: 'short', year: 'numeric' }), ms);
/** 23 Nov */
export const shortDay = (ms: number, zone: Zone) => order(format(zone, { day: 'numeric', month: 'short' }), ms);
/** 23 Nov, 12:03 */
export const moment = (ms: number, zone: Zone) => `${shortDay(ms, zone)}, ${format(zone, { hour: '2-digit', minute: '2-digit' }).format(ms)}`;
/** 23 Nov 2026, 12:03 UTC */
export const absolute = (ms: number, zone: Zone) =>
  `${day(ms, zone)}, ${format(zone, { hour: '2-digit', minute: '2-digit' }).format(ms)} ${zoneName(ms, zone)}`;

export function zoneName(ms: number, zone: Zone): string {
  if (zone === 'utc') return 'UTC';
  return format(zone, { timeZoneName: 'short' }).formatToParts(ms).find((p) => p.type === 'timeZoneName')?.value ?? '';
}

/** The name of the zone for the server: "UTC" or "Europe/Berlin". */
export const zoneId = (zone: Zone) => (zone === 'utc' ? 'UTC' : Intl.DateTimeFormat().resolvedOptions().timeZone);

// Day before month, whatever the language's own order is: 23 Nov.
function order(f: Intl.DateTimeFormat, ms: number): string {
  const parts = Object.fromEntries(f.formatToParts(ms).map((p) => [p.type, p.value]));
  return [parts.day, parts.month, parts.year].filter(Boolean).join(' ');
}

const relative = new Intl.RelativeTimeFormat(language, { numeric: 'always', style: 'narrow' });
const steps: [Intl.RelativeTimeFormatUnit, number][] = [
  ['second', 60],
  ['minute', 60],
  ['hour', 24],
  ['day', 30],
  ['month', 12],
  ['year', Infinity],
];

/** 2 min ago, in 3 days. */
export function ago(ms: number, now: number): string {
  let n = (ms - now) / 1000;
  if (Math.abs(n) < 5) return 'now';
  for (const [unit, size] of steps) {
    if (Math.abs(n) < size) return relative.format(Math.trunc(n), unit);
    n /= size;
  }
  return '';
}

/** 420 ms, 1.4 s, 3 min, 2 h, 5 days. */
export function took(ms: number): string {
  if (ms < 0.1) return '0 ms';
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  if (ms < 172_800_000) return `${Math.round(ms / 3_600_000)} h`;
  return `${Math.round(ms / 86_400_000)} days`;
}
