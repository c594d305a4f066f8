// What an amount would do that is allowed, and hardly meant.

import { exact, short } from '@/lib/money';
import { t } from '@/text/money';

export interface Warning {
  code: 'budget_zero' | 'budget_below_spent' | 'budget_below_price';
  text: string;
  /** Whether it has to be agreed to before it is saved. */
  confirm: boolean;
}

/** Looks at the limit that would be in force: its amount with a raise. */
export function warningsOf(limit: bigint | undefined, facts: { soft: boolean; spent?: bigint | undefined; price?: bigint | undefined; priceOf?: string | undefined; period: string }): Warning[] {
  if (limit === undefined) return [];
  const out: Warning[] = [];
  if (limit === 0n) out.push({ code: 'budget_zero', text: t(facts.soft ? 'zeroSoft' : 'zeroHard'), confirm: !facts.soft });
  const spent = facts.spent ?? 0n;
  if (limit > 0n && spent > 0n && limit <= spent) {
    out.push({ code: 'budget_below_spent', text: t(facts.soft ? 'belowSpentSoft' : 'belowSpentHard', { spent: exact(spent), limit: exact(limit), period: facts.period }), confirm: !facts.soft });
  }
  if (limit > 0n && facts.price !== undefined && limit < facts.price) {
    out.push({ code: 'budget_below_price', text: t('belowPrice', { price: short(facts.price), limit: exact(limit), endpoint: facts.priceOf ?? '' }), confirm: false });
  }
  return out;
}
