import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { describe, expect, it } from 'vitest';
import { Enforcement, Period } from '@/gen/tollgate/control/v1/budget_pb';
import { KeySchema } from '@/gen/tollgate/control/v1/key_pb';
import { dollar, nanos } from '@/lib/money';
import { millis } from '@/lib/time';
import { overlapOf } from './actions';
import { createRequest, type Draft, draftOf, emptyDraft, expiry, like, updateRequest, withField } from './draft';

const now = Date.parse('2026-11-23T12:00:00Z');
const day = 86_400_000;
const key = create(KeySchema, { id: 'key_1', name: 'ci', team: 'ops', endpoints: ['bria'], restricted: true, tags: ['a'], etag: 'e1', expireTime: timestampFromMs(now + 3.5 * day) });

describe('a new key', () => {
  it('gets what the form shows and nothing else', () => {
    const d: Draft = { ...emptyDraft, name: ' ana ', team: 'marketing', endpoints: ['bria'], amount: String(50n * dollar), expires: '30' };
    const r = createRequest(d, now, 'UTC');
    expect(r).toMatchObject({ name: 'ana', team: 'marketing', endpoints: ['bria'], noDefaults: true });
    expect(r.budget).toMatchObject({ period: Period.MONTH, enforcement: Enforcement.HARD });
    expect(nanos(r.budget!.amount as never)).toBe(50n * dollar);
    expect(millis(r.expireTime as never)).toBe(now + 30 * day);
  });
  it('has no budget and no end where none is asked for', () => {
    const r = createRequest({ ...emptyDraft, name: 'x' }, now, 'UTC');
    expect('budget' in r).toBe(false);
    expect('expireTime' in r).toBe(false);
  });
  it('is like another, but for its name and an end that has come', () => {
    const d = like(key, undefined, 600n, 'UTC', now + 10 * day);
    expect(d).toMatchObject({ team: 'ops', endpoints: ['bria'], expires: '', rate: '600', amount: '' });
    expect('name' in d).toBe(false);
    expect(like(key, undefined, undefined, 'UTC', now)).toMatchObject({ expires: 'date', date: '2026-11-27' });
  });
});

describe('a change', () => {
  const base = draftOf(key, 'UTC');
  const change = (c: Partial<Draft>) => updateRequest(key, base, { ...base, ...c }, now, 'UTC');
  it('names what differs, and nothing is sent where nothing does', () => {
    expect(change({})).toBeUndefined();
    expect(change({ team: 'search', tags: [] })?.updateMask).toEqual({ paths: ['team', 'tags'] });
    expect(change({ team: 'search' })?.etag).toBe('e1');
  });
  it('lets a key call everything by "restricted", and some endpoints by naming them', () => {
    expect(change({ restricted: false })).toMatchObject({ updateMask: { paths: ['restricted'] }, restricted: false, endpoints: [] });
    expect(change({ endpoints: [] })).toMatchObject({ updateMask: { paths: ['endpoints'] }, restricted: true, endpoints: [] });
  });
  it('leaves an end within a day as it is until it is changed', () => {
    expect(change({ description: 'x' })?.updateMask).toEqual({ paths: ['description'] });
    expect(change({ expires: '', date: '' })).toMatchObject({ expireTime: undefined, updateMask: { paths: ['expire_time'] } });
  });
  it('is merged field by field', () => {
    expect(withField(base, 'expire_time', { ...base, expires: '90', date: '', team: 'other' })).toMatchObject({ expires: '90', date: '', team: 'ops' });
  });
});

it('a date begins in the zone that is shown', () => {
  const d: Draft = { ...emptyDraft, expires: 'date', date: '2026-12-01' };
  expect(expiry(d, now, 'UTC')).toBe(Date.parse('2026-12-01T00:00:00Z'));
  expect(expiry(d, now, 'Europe/Berlin')).toBe(Date.parse('2026-11-30T23:00:00Z'));
  expect(expiry({ ...d, date: '' }, now, 'UTC')).toBeUndefined();
});

it('an old secret goes on for up to 30 days', () => {
  expect(overlapOf('0', '')).toBe(0);
  expect(overlapOf('24h', '')).toBe(day);
  expect(overlapOf('custom', '30')).toBe(30 * day);
  for (const days of ['', '0', '31', '-1', '1e3', 'x']) expect(overlapOf('custom', days), days).toBeUndefined();
});
