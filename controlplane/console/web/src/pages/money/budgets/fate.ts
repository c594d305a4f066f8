// What will become of a budget, as a sentence: the server projects, here are only the words.

import type { Tone } from '@/components/Status';
import { type BudgetState, BudgetStatus } from '@/gen/tollgate/control/v1/budget_pb';
import { nanos, shareOf } from '@/lib/money';
import { language, percent } from '@/lib/text';
import { ago, millis, type Zone, zoneId } from '@/lib/time';
import { t } from '@/text/money';
import { about } from './facts';

export interface Fate {
  kind: 'unknown' | 'used' | 'out' | 'maybe' | 'track' | 'unsure';
  tone: Tone;
  text: string;
  /** When it runs out, or ran out; what comes first is the most urgent. */
  at: number;
}

const never = Number.MAX_SAFE_INTEGER;
const hour = 3_600_000;

interface Told {
  id: string;
  weekday: string;
  day: string;
  time: string;
}

function tell(ms: number, zone: Zone): Told {
  const format = new Intl.DateTimeFormat(language, {
    timeZone: zoneId(zone), hourCycle: 'h23', weekday: 'short', year: 'numeric', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit',
  });
  const p = Object.fromEntries(format.formatToParts(ms).map((x) => [x.type, x.value]));
  return { id: `${p.year} ${p.month} ${p.day}`, weekday: p.weekday!, day: `${p.day} ${p.month}`, time: `${p.hour}:${p.minute}` };
}

/** "today ≈ 16:20", "tomorrow ≈ 09:00" or "Thu 26 Nov ≈ 16:20"; without the hour where it is more than a week away. */
function when(ms: number, now: number, zone: Zone): string {
  const d = tell(ms, zone);
  if (d.id === tell(now, zone).id) return t('whenToday', { time: d.time });
  if (d.id === tell(now + 24 * hour, zone).id) return t('whenTomorrow', { day: d.day, time: d.time });
  return ms - now < 7 * 24 * hour ? t('whenDay', { weekday: d.weekday, day: d.day, time: d.time }) : t('whenLater', { day: d.day });
}

function between(after: number, before: number, now: number, zone: Zone): string {
  const a = tell(after, zone);
  const b = tell(before, zone);
  if (a.id === b.id) {
    const day = a.id === tell(now, zone).id ? t('today') : t('weekdayDay', { weekday: a.weekday, day: a.day });
    return t('outBetweenHours', { day, after: a.time, before: b.time });
  }
  return t('outBetween', { after: t('weekdayDay', { weekday: a.weekday, day: a.day }), before: t('weekdayDay', { weekday: b.weekday, day: b.day }) });
}

/**
 * How a budget stands and what comes. `refused` is how many requests it has turned away lately, where that is known. Days are
 * those of the zone in which times are shown; the end of the period is that of the budget, and comes as words.
 */
export function fateOf(state: BudgetState | undefined, options: { now: number; zone: Zone; soft: boolean; end: string; refused?: number | undefined }): Fate {
  const { now, zone, end } = options;
  if (!state) return { kind: 'unknown', tone: 'off', text: t('notKnown'), at: never };
  const limit = nanos(state.limit);
  if (state.status === BudgetStatus.EXHAUSTED) {
    const full = state.warnings.findLast((w) => w.percent >= 100);
    const at = millis(full?.time);
    const over = nanos(state.spent) - limit;
    const parts = [at === undefined ? t('usedUp') : t('usedUpAgo', { ago: ago(at, now) })];
    if (over > 0n) parts.push(t('overBy', { amount: about(over) }));
    if (options.refused) parts.push(t('refused', { n: options.refused }));
    else if (options.soft) parts.push(t('stillPass'));
    return { kind: 'used', tone: 'bad', text: parts.join(' · '), at: at ?? 0 };
  }
  const tone: Tone = state.status === BudgetStatus.AT_RISK ? 'warn' : 'ok';
  const after = millis(state.runsOutAfter);
  if (after !== undefined) {
    const before = millis(state.runsOutBefore) ?? after;
    const last = millis(state.periodEnd);
    // At the slower pace it may well last: that is not a date on which it runs out.
    if (last !== undefined && before >= last) {
      return { kind: 'maybe', tone, text: end ? t('mayRunOut', { when: when(after, now, zone), end }) : t('mayRunOutAlone', { when: when(after, now, zone) }), at: after };
    }
    const text = before - after < hour ? t('runsOut', { when: when(after, now, zone) }) : between(after, before, now, zone);
    return { kind: 'out', tone, text, at: after };
  }
  if (state.projected) {
    const projected = nanos(state.projected);
    const share = percent(Math.round(shareOf(projected, limit) * 100) / 100);
    const told = { amount: about(projected), share };
    return { kind: 'track', tone, text: end ? t('onTrack', { ...told, end }) : t('onTrackAlone', told), at: never };
  }
  if (state.pace) return { kind: 'track', tone, text: t('noEndInSight'), at: never };
  return { kind: 'unsure', tone, text: t('notEnough'), at: never };
}

const ranks: Record<Fate['kind'], number> = { used: 0, out: 1, maybe: 1, track: 2, unsure: 3, unknown: 4 };

/** Who runs out first: what is used up, then by the time at which it runs out, then by the share that is spent. */
export function byFate(a: { fate: Fate; share: number }, b: { fate: Fate; share: number }): number {
  return ranks[a.fate.kind] - ranks[b.fate.kind] || (a.fate.kind === 'used' ? 0 : a.fate.at - b.fate.at) || b.share - a.share;
}
