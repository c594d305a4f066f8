// Limits in words.

import { type Limit, LimitFallback, LimitKind } from '@/gen/tollgate/control/v1/limit_pb';
import { count, whole } from '@/lib/text';
import { t } from '@/text/limits';

export const kinds = [LimitKind.REQUESTS, LimitKind.UNITS, LimitKind.CONCURRENT] as const;
const names = { [LimitKind.REQUESTS]: 'requests', [LimitKind.UNITS]: 'units', [LimitKind.CONCURRENT]: 'concurrent' } as const;
export const kindName = (k: LimitKind) => names[k as (typeof kinds)[number]] ?? 'requests';

export const fallbacks = [LimitFallback.SHARE, LimitFallback.OPEN, LimitFallback.CLOSED] as const;
const fallbackNames = { [LimitFallback.SHARE]: 'share', [LimitFallback.OPEN]: 'open', [LimitFallback.CLOSED]: 'closed' } as const;
export const fallbackName = (f: LimitFallback) => fallbackNames[f as (typeof fallbacks)[number]] ?? 'share';

/** "600 requests a minute". */
export function boundText(l: Pick<Limit, 'kind' | 'amount'>): string {
  const n = whole(l.amount);
  if (l.kind === LimitKind.CONCURRENT) return t('atATime', { n });
  return t(l.kind === LimitKind.UNITS ? 'perMinute_units' : 'perMinute_requests', { n });
}

export function burstText(l: Pick<Limit, 'kind' | 'burst'>): string {
  if (l.kind === LimitKind.CONCURRENT) return t('noBurst');
  return l.burst === 0n ? t('burstAuto') : count(l.burst);
}

/** A name for a limit that has none: what it is on, and what it bounds. */
export function nameFor(scope: { kind: string; name: string }, kind: LimitKind): string {
  const on = scope.kind === 'everything' ? 'everything' : scope.name;
  if (!on) return '';
  return `${on}-${kindName(kind)}`.toLowerCase().replace(/[^a-z0-9._-]+/g, '-').replace(/^[^a-z0-9]+/, '').slice(0, 63).replace(/[^a-z0-9]+$/, '');
}
