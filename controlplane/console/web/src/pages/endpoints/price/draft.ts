// A price while it is edited: of which kind it is, and what was entered for the other kinds.

import { clone, create, equals } from '@bufbuild/protobuf';
import { money } from '@/lib/money';
import { type Price, PriceSchema } from '@/gen/tollgate/control/v1/price_pb';
import { newMetered } from './metered';

export type Kind = Exclude<Price['kind']['case'], undefined>;
export type Drafts = Partial<Record<Kind, Price>>;

/** Of these a new price can be. A price by use is shown where there is one already: meters can do the same and more. */
export const kinds: Kind[] = ['free', 'fixed', 'metered', 'reported'];
/** Answers that are charged if nothing is said. */
export const usualStatuses = ['2xx'];
/** Where a target says its cost, if nothing else is said. */
export const costHeader = 'x-tollgate-cost';
/** Where LiteLLM's proxy says it. */
export const litellmCostHeader = 'x-litellm-response-cost';

/** The price of a kind: what was entered for it before, or what it begins with. */
export function ofKind(kind: Kind, drafts: Drafts): Price {
  const before = drafts[kind];
  if (before) return clone(PriceSchema, before);
  switch (kind) {
    case 'free':
      return create(PriceSchema, { kind: { case: 'free', value: {} } });
    case 'fixed':
      return create(PriceSchema, { kind: { case: 'fixed', value: {} } });
    case 'metered':
      return create(PriceSchema, { kind: { case: 'metered', value: newMetered() } });
    case 'reported':
      return create(PriceSchema, { kind: { case: 'reported', value: {} } });
    case 'usage':
      return create(PriceSchema, { kind: { case: 'usage', value: { hold: money(0n) } } });
  }
}

/** The price with another kind chosen, and the drafts with what was entered until now. */
export function choose(price: Price | undefined, kind: Kind, drafts: Drafts): { price: Price; drafts: Drafts } {
  const now = price?.kind.case;
  const kept = now && price ? { ...drafts, [now]: price } : drafts;
  return { price: ofKind(kind, kept), drafts: kept };
}

/** A changed copy of a price. */
export function changed(price: Price, change: (p: Price) => void): Price {
  const next = clone(PriceSchema, price);
  change(next);
  return next;
}

export const samePrice = (a: Price | undefined, b: Price | undefined) => a === b || (!!a && !!b && equals(PriceSchema, a, b));

/** A price per request above this is asked for twice. */
export const largeAbove = 1000n * 1_000_000_000n;
