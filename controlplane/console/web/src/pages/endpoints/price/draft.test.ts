import { create, equals, fromJson } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { type Price, PriceSchema } from '@/gen/tollgate/control/v1/price_pb';
import type { Meter } from '@/gen/tollgate/control/v1/meter_pb';
import { bill, rate, sourceOf } from './metered';
import { changed, choose, type Drafts, kinds, ofKind } from './draft';
import { framesOf, pasted, sampleOf, storedSample, storeSample } from './sample';
import { forTrial, triable } from './useTrial';
import { wrongWith } from './violations';

const fixed = () => fromJson(PriceSchema, { fixed: { perRequest: { currencyCode: 'USD', units: '12' }, charge: { statuses: ['any'], unless: [{ source: { frame: 'error' } }] } } });

describe('drafts of prices', () => {
  it('keep what was entered for the other kinds', () => {
    let price: Price | undefined = fixed();
    let drafts: Drafts = {};
    for (const kind of [...kinds, 'usage' as const, 'fixed' as const]) {
      const next = choose(price, kind, drafts);
      expect(next.price.kind.case).toBe(kind);
      ({ price, drafts } = next);
    }
    expect(equals(PriceSchema, price, fixed())).toBe(true);
  });

  it('begin each kind with what can be saved once its amounts are there', () => {
    expect(ofKind('free', {}).kind).toMatchObject({ case: 'free' });
    const m = ofKind('metered', {});
    expect(m.kind.case === 'metered' && [m.kind.value.unmatched, m.kind.value.fallback, m.kind.value.meters.length]).toEqual(['unpriced', '0', 1]);
  });

  it('are copied before they are changed', () => {
    const before = fixed();
    const after = changed(before, (p) => {
      if (p.kind.case === 'fixed') delete p.kind.value.perRequest;
    });
    expect(equals(PriceSchema, before, fixed())).toBe(true);
    expect(equals(PriceSchema, after, before)).toBe(false);
  });

  it('are tried with 0 where a price is not typed yet', () => {
    const p = create(PriceSchema, { kind: { case: 'metered', value: { meters: [{ prices: [{ model: '*', rates: [{ unit: 'a' }, { unit: 'b', price: '2' }] }] }] } } });
    const tried = forTrial(p);
    expect(tried.kind.case === 'metered' && tried.kind.value.meters[0]!.prices[0]!.rates.map((r) => r.price)).toEqual(['0', '2']);
    expect(p.kind.case === 'metered' && p.kind.value.meters[0]!.prices[0]!.rates[0]!.price).toBe('');
  });
});

it('drafts that are not whole are not tried', () => {
  const p = ofKind('metered', {});
  expect([triable(p), triable(fixed())]).toEqual([false, true]);
  const edited = (change: (m: Meter) => void) => triable(changed(p, (x) => x.kind.case === 'metered' && change(x.kind.value.meters[0]!)));
  expect(edited((m) => bill(m, 'n', sourceOf('frame', 'n')))).toBe(true);
  expect(edited((m) => bill(m, 'n', sourceOf('frame', '')))).toBe(false);
  expect(edited((m) => (bill(m, 'n', sourceOf('frame', 'n')), rate(m, 0, 'n', { price: '1x' })))).toBe(false);
  expect(edited((m) => (bill(m, 'n', sourceOf('frame', 'n')), (m.name = '')))).toBe(false);
});

describe('samples', () => {
  it('outlive the page and are refused if they are something else', () => {
    const sample = { ...pasted('{"n":1}'), path: '/v1/rerank', requestBody: '{}' };
    storeSample('rerank', sample);
    expect(storedSample('rerank')).toEqual(sample);
    expect(storedSample('other')).toBeUndefined();
    sessionStorage.setItem('tollgate-sample-odd', '{"x":1}');
    expect(storedSample('odd')).toBeUndefined();
    sessionStorage.setItem('tollgate-sample-odd', '{');
    expect(storedSample('odd')).toBeUndefined();
  });

  it('are sent byte for byte', () => {
    const s = sampleOf({ ...pasted('{"n": 9007199254740993, "t": "ü"}'), headers: [['x-n', '2']] });
    expect(new TextDecoder().decode(s.body)).toBe('{"n": 9007199254740993, "t": "ü"}');
    expect(s.headers[0]).toMatchObject({ name: 'x-n', value: '2' });
  });

  it('are frames as meters see them', () => {
    expect(framesOf('{"a":1}')).toEqual([{ event: '', value: { a: 1 } }]);
    expect(framesOf('[1,2]')).toEqual([{ event: '', value: [1, 2] }]);
    expect(framesOf('event: end\ndata: {"a":1}\n\ndata: {"b":\ndata: 2}\n\ndata: [DONE]\n\n: c\n\n')).toEqual([
      { event: 'end', value: { a: 1 } },
      { event: '', value: { b: 2 } },
    ]);
    expect(framesOf('{"a":1}\n{"a":2}\n')).toEqual([
      { event: '', value: { a: 1 } },
      { event: '', value: { a: 2 } },
    ]);
    expect([framesOf('<html>'), framesOf(''), framesOf('{"a"')]).toEqual([undefined, undefined, undefined]);
  });
});

describe('what is wrong', () => {
  const problem = {
    violations: [
      { field: 'endpoint.price.metered.meters[0].counters[1].sources[0].frame', code: 'meter_path', text: 'meters[0].counters[1].sources[0].frame: expected a name.' },
      { field: 'endpoint.price', code: 'required', text: 'say what a request costs.' },
      { field: 'endpoint.path', code: 'path_taken', text: 'taken' },
    ],
  };
  it('is told at its field', () => {
    expect(wrongWith(problem, 'metered.meters[0].counters[1]', true)).toBe('Expected a name.');
    expect(wrongWith(problem, 'metered.meters[0].counters[1]')).toBeUndefined();
    expect(wrongWith(problem, 'metered.meters[0].counters[10]', true)).toBeUndefined();
    expect(wrongWith(problem, '')).toBe('Say what a request costs.');
    expect(wrongWith(undefined, '')).toBeUndefined();
  });
});
