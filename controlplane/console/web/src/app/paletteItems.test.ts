import { describe, expect, it } from 'vitest';
import { matches, meaningOf, placeOf, recent, remember } from './paletteItems';

describe('what a pasted text means', () => {
  it('is the page of an id', () => {
    expect(meaningOf(' req_06h0ek12hst2b7fy3xxqw245yg ')?.place.to).toBe('/requests/req_06h0ek12hst2b7fy3xxqw245yg');
    expect(meaningOf('key_06h0ek12hst2b7fy3xxqw245yg')?.place.to).toBe('/keys/key_06h0ek12hst2b7fy3xxqw245yg');
  });
  it('is a path to be explained', () => {
    expect(meaningOf('/bria/v1/x?y=1')).toEqual({ kind: 'path', place: { to: '/endpoints', search: { path: '/bria/v1/x?y=1' } } });
  });
  it('is nothing for what is a name', () => {
    for (const text of ['bria', 'req_', 'req_short', 'a /b', '']) expect(meaningOf(text)).toBeUndefined();
  });
});

describe('places', () => {
  it('keep names apart from paths', () => {
    expect(placeOf({ kind: 'team', id: 'team_1', name: 'a/b' }).to).toBe('/teams/a%2Fb');
  });
});

describe('actions', () => {
  it('are found by any of their words', () => {
    expect(matches('key new', 'Create key new add')).toBe(true);
    expect(matches('edge new', 'Create key new add')).toBe(false);
  });
});

describe('what was opened last', () => {
  it('stands once, the latest first, and is bounded', () => {
    for (let i = 0; i < 9; i++) remember({ kind: 'key', id: `key_${i}`, name: `k${i}` });
    remember({ kind: 'key', id: 'key_7', name: 'k7' });
    expect(recent.get().map((r) => r.name)).toEqual(['k7', 'k8', 'k6', 'k5', 'k4', 'k3']);
  });
});
