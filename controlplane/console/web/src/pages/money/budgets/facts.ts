// What a budget is, in the words of its row.

import { type Budget, type BudgetState, Enforcement, Period } from '@/gen/tollgate/control/v1/budget_pb';
import type { Limit } from '@/gen/tollgate/control/v1/limit_pb';
import { dollar, nanos, short } from '@/lib/money';
import { language } from '@/lib/text';
import { millis } from '@/lib/time';
import { t } from '@/text/money';

export const scopes = ['everything', 'team', 'key', 'endpoint', 'customer', 'tag'] as const;
export type ScopeKind = (typeof scopes)[number];

export interface Scope {
  kind: ScopeKind;
  /** Empty for everything. */
  name: string;
}

/** What a budget or a limit is on. */
export function scopeOf(b: Pick<Budget | Limit, 'scope'>): Scope {
  const s = b.scope;
  return s.case === undefined || s.case === 'everything' ? { kind: 'everything', name: '' } : { kind: s.case, name: s.value };
}

/** The scope as the API takes it. */
export function scopeInput(s: Scope) {
  return s.kind === 'everything' ? ({ case: 'everything', value: true } as const) : ({ case: s.kind, value: s.name } as const);
}

export const scopeText = (s: Scope) => (s.kind === 'everything' ? t('scope_everything') : `${t(`scope_${s.kind}`)} ${s.name}`);

/** The page of what a budget is on; undefined where there is none. */
export function scopeLink(s: Scope): string | undefined {
  const name = encodeURIComponent(s.name);
  switch (s.kind) {
    case 'team':
      return `/teams/${name}`;
    case 'key':
      return `/keys/${name}`;
    case 'endpoint':
      return `/endpoints/${name}/overview`;
    default:
      return undefined;
  }
}

export const periods = [Period.MONTH, Period.WEEK, Period.DAY, Period.HOUR, Period.ROLLING, Period.TOTAL] as const;
type Known = (typeof periods)[number];
const words: Record<Known, 'month' | 'week' | 'day' | 'hour' | 'rolling' | 'total'> = {
  [Period.MONTH]: 'month',
  [Period.WEEK]: 'week',
  [Period.DAY]: 'day',
  [Period.HOUR]: 'hour',
  [Period.ROLLING]: 'rolling',
  [Period.TOTAL]: 'total',
};

/** The word of the command line for a period. */
export const periodName = (p: Period) => words[p as Known] ?? 'total';
export const periodText = (p: Period, days: number) => (p === Period.ROLLING ? t('period_rolling', { n: days }) : t(`period_${periodName(p) as 'month'}`));

/** Whether a budget starts anew at a time that is known. */
export const resets = (b: Budget) => b.period !== Period.TOTAL && b.period !== Period.ROLLING;
export const soft = (b: Pick<Budget, 'enforcement'>) => b.enforcement === Enforcement.SOFT;

const inZone = (ms: number, timeZone: string, options: Intl.DateTimeFormatOptions) => {
  const parts = Object.fromEntries(new Intl.DateTimeFormat(language, { ...options, timeZone, hourCycle: 'h23' }).formatToParts(ms).map((p) => [p.type, p.value]));
  return parts;
};

/** "1 Dec", in the zone of the budget. */
export function dayText(ms: number, timeZone: string): string {
  const p = inZone(ms, timeZone, { day: 'numeric', month: 'short' });
  return `${p.day} ${p.month}`;
}

/** "1 Dec 00:00 UTC", in the zone of the budget. */
export function resetText(ms: number, timeZone: string): string {
  const p = inZone(ms, timeZone, { hour: '2-digit', minute: '2-digit', timeZoneName: 'short' });
  return `${dayText(ms, timeZone)} ${p.hour}:${p.minute} ${p.timeZoneName}`;
}

/** When the current period of a budget ends, as people are told it: a day, or an hour where it is not midnight. */
export function untilText(b: Budget, state: BudgetState | undefined): string {
  const end = millis(state?.periodEnd);
  if (end === undefined || !resets(b)) return '';
  return b.period === Period.HOUR ? resetText(end, zoneOf(b)) : dayText(end, zoneOf(b));
}

export const zoneOf = (b: Budget) => b.timeZone || 'UTC';

/** Where in its period a budget is, from 0 to 1; undefined where it has none that ends. */
export function elapsed(b: Budget, state: BudgetState | undefined, now: number): number | undefined {
  const start = millis(state?.periodStart);
  const end = millis(state?.periodEnd);
  if (!resets(b) || start === undefined || end === undefined || end <= start) return undefined;
  return Math.min(Math.max((now - start) / (end - start), 0), 1);
}

/** What the limit is now: that of the state, or of the settings where the ledger has not been asked. */
export const limitOf = (b: Budget, state: BudgetState | undefined) => (state ? nanos(state.limit) : nanos(b.amount) + nanos(b.raise?.by));

/** An amount that is only an estimate, or stands beside one that is exact: without cents from a hundred dollars up. */
export function about(n: bigint): string {
  if (n < 100n * dollar) return short(n).replace(/\.00$/, '');
  return short(((n + dollar / 2n) / dollar) * dollar).replace(/\.00$/, '');
}
