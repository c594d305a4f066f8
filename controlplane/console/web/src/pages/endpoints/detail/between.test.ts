import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { expect, it } from 'vitest';
import { EndpointSchema, MatchKind } from '@/gen/tollgate/control/v1/endpoint_pb';
import { RequestRecordSchema } from '@/gen/tollgate/control/v1/usage_pb';
import { money } from '@/lib/money';
import { between } from './between';
import { grouped } from './Tables';

it('says which fields of an endpoint differ, and nothing that the server sets by itself', () => {
  const before = create(EndpointSchema, { name: 'bria', path: '/bria', match: MatchKind.PREFIX, targets: [{ url: 'https://a' }], price: { kind: { case: 'fixed', value: { perRequest: money(10_000_000_000n) } } }, etag: 'x', revision: 3n, updateTime: timestampFromMs(1) });
  const after = create(EndpointSchema, { name: 'bria', path: '/bria', match: MatchKind.PREFIX, targets: [{ url: 'https://b' }, { url: 'https://c' }], price: { kind: { case: 'free', value: {} } }, etag: 'y', revision: 4n, updateTime: timestampFromMs(2) });
  expect(between(before, after).map((c) => [c.path, c.before, c.after])).toEqual([
    ['targets[0].url', '"https://a"', '"https://b"'],
    ['price.fixed.per_request.currency_code', '"USD"', ''],
    ['price.fixed.per_request.units', '"10"', ''],
    ['targets[1].url', '', '"https://c"'],
    ['price.free', '', '{}'],
  ]);
  expect(between(before, before)).toEqual([]);
});

it('puts the same errors together, and leaves corrections out', () => {
  const record = (outcome: string, status: number, corrects = '') => create(RequestRecordSchema, { outcome, status, corrects });
  expect(grouped([record('target_error', 502), record('unreachable', 0), record('target_error', 502), record('target_error', 500), record('ok', 404, '1/2/3')]).map((g) => [g.text, g.n])).toEqual([
    ['Target answered 502', 2],
    ['Target could not be reached', 1],
    ['Target answered 500', 1],
  ]);
});
