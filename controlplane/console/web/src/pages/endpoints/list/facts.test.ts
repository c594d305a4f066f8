import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { type Endpoint, EndpointSchema, MatchKind } from '@/gen/tollgate/control/v1/endpoint_pb';
import { money } from '@/lib/money';
import { PriceSchema } from '@/gen/tollgate/control/v1/price_pb';
import { middle, overlaps, quote, splitFilter, stateOf, unpricedBy } from './facts';

const endpoint = (path: string, over: Partial<Endpoint> = {}) => create(EndpointSchema, { name: path.slice(1).replaceAll('/', '-'), path, match: MatchKind.PREFIX, ...(over as object) });
const recent = (requests: number, errors: number, unpriced = 0, failed = errors) => ({ requests, errors, failed, unpriced, cost: 0n, hours: [] });

describe('how an endpoint is', () => {
  it('is told by what it did', () => {
    const e = endpoint('/bria');
    expect(stateOf(e, undefined)).toBe('ok');
    expect(stateOf(e, recent(1000, 2))).toBe('ok');
    expect(stateOf(e, recent(20, 2))).toBe('ok');
    expect(stateOf(e, recent(20, 3))).toBe('error');
    expect(stateOf(e, recent(20, 0, 0, 9))).toBe('ok');
    expect(stateOf(e, recent(20, 0, 0, 10))).toBe('error');
    expect(stateOf(e, recent(20, 0, 1))).toBe('unpriced');
    expect(stateOf(endpoint('/bria', { disabled: true }), recent(20, 20))).toBe('disabled');
  });

  it('has a price only if somebody said one', () => {
    expect(unpricedBy(undefined)).toBe(true);
    expect(unpricedBy(create(PriceSchema))).toBe(true);
    expect(unpricedBy(create(PriceSchema, { kind: { case: 'fixed', value: { perRequest: money(0n) } } }))).toBe(true);
    expect(unpricedBy(create(PriceSchema, { kind: { case: 'fixed', value: { perRequest: money(1n) } } }))).toBe(false);
    expect(unpricedBy(create(PriceSchema, { kind: { case: 'free', value: {} } }))).toBe(false);
  });
});

describe('the filter', () => {
  it('keeps what the server knows and takes out states', () => {
    expect(splitFilter('path:/bria status:error price:none')).toEqual({ server: 'path:/bria price:none', states: { is: ['error'], not: false } });
    expect(splitFilter('-status:disabled,unpriced "two words" managed:"a status:b"')).toEqual({ server: '"two words" managed:"a status:b"', states: { is: ['disabled', 'unpriced'], not: true } });
    expect(splitFilter(undefined)).toEqual({ server: '', states: undefined });
    expect(splitFilter('status:nonsense').states!.is).toEqual(['none']);
  });
});

describe('overlaps', () => {
  it('are paths inside the nearest other one, on whole segments', () => {
    const all = [endpoint('/bria'), endpoint('/bria/v2'), endpoint('/bria/v2/x'), endpoint('/brian'), endpoint('/exact', { match: MatchKind.EXACT }), endpoint('/exact/below')];
    expect(overlaps(all).map((o) => [o.inner.path, o.outer.path])).toEqual([
      ['/bria/v2', '/bria'],
      ['/bria/v2/x', '/bria/v2'],
    ]);
  });
  it('matter only where a method is answered by both', () => {
    expect(overlaps([endpoint('/a', { methods: ['GET'] }), endpoint('/a/b', { methods: ['POST'] })])).toEqual([]);
    expect(overlaps([endpoint('/a', { methods: ['GET', 'POST'] }), endpoint('/a/b', { methods: ['POST'] })])).toHaveLength(1);
    expect(overlaps([endpoint('/'), endpoint('/a')])).toHaveLength(1);
  });
});

it('long texts lose their middle, and shells get one word', () => {
  expect(middle('https://engine.prod.bria-api.com/v1/text-to-image', 21)).toBe('https://en…t-to-image');
  expect(middle('short', 5)).toBe('short');
  expect([quote('/bria'), quote("it's"), quote('')]).toEqual(['/bria', `'it'\\''s'`, `''`]);
});
