// What an exchange would cost by a price that is being edited, as the server works it out.

import { clone, equals } from '@bufbuild/protobuf';
import { useEffect, useRef, useState } from 'react';
import { clientOf } from '@/api/client';
import { type Problem, problemOf } from '@/api/errors';
import { type Price, PriceSchema, PriceService, type TestPriceResponse } from '@/gen/tollgate/control/v1/price_pb';
import { sampleOf, type StoredSample } from './sample';

export interface Trial {
  result: TestPriceResponse | undefined;
  problem: Problem | undefined;
  /** Whether what is shown is of an older draft. */
  stale: boolean;
  /** Whether the draft is not whole enough to be tried. */
  unready: boolean;
}

const pause = 200;

/** The draft as it is tried: what has no price yet costs nothing, so that its number is found all the same. */
export function forTrial(price: Price): Price {
  const next = clone(PriceSchema, price);
  if (next.kind.case === 'metered') {
    for (const m of next.kind.value.meters) for (const p of m.prices) for (const r of p.rates) if (!r.price) r.price = '0';
  }
  return next;
}

const decimalForm = /^\d+(\.\d*)?$/;

/** Whether a draft is whole enough to be tried: nothing in it is still empty that has to be said, or half typed. */
export function triable(price: Price): boolean {
  const { kind } = price;
  if (kind.case !== 'metered') return true;
  const priced = kind.value.meters.filter((m) => !m.free);
  const texts = priced.flatMap((m) => [m.base, m.minimum, m.maximum, m.hold?.amount ?? '', m.hold?.least ?? '', ...m.prices.flatMap((p) => p.rates.map((r) => r.price))]);
  const sources = priced.flatMap((m) => m.counters.flatMap((c) => c.sources));
  return (
    kind.value.meters.length > 0 &&
    kind.value.meters.every((m) => m.name) &&
    priced.every((m) => m.units.length > 0) &&
    sources.every((s) => s.place.value) &&
    texts.every((text) => !text || decimalForm.test(text)) &&
    (kind.value.fallback === 'held' || decimalForm.test(kind.value.fallback))
  );
}

/** Tries the price on the sample whenever either has not changed for a moment. */
export function useTrial(price: Price, sample: StoredSample | undefined): Trial {
  const [state, setState] = useState<Trial>({ result: undefined, problem: undefined, stale: false, unready: false });
  const draft = useStable(price);
  useEffect(() => {
    if (!sample || !triable(draft)) {
      setState({ result: undefined, problem: undefined, stale: false, unready: sample !== undefined });
      return;
    }
    setState((s) => ({ ...s, stale: true, unready: false }));
    const stop = new AbortController();
    const timer = setTimeout(() => {
      clientOf(PriceService)
        .testPrice({ subject: { case: 'price', value: forTrial(draft) }, sample: sampleOf(sample) }, { signal: stop.signal })
        .then(
          (result) => setState({ result, problem: undefined, stale: false, unready: false }),
          (err: unknown) => {
            if (!stop.signal.aborted) setState((s) => ({ ...s, problem: problemOf(err), stale: true }));
          },
        );
    }, pause);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [draft, sample]);
  return state;
}

// The same message as before while it says the same, however often it is copied.
function useStable(price: Price): Price {
  const kept = useRef(price);
  if (kept.current !== price && !equals(PriceSchema, kept.current, price)) kept.current = price;
  return kept.current;
}
