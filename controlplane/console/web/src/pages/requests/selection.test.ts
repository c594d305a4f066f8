import { describe, expect, it } from 'vitest';
import { lifted } from './selection';

describe('text of the filter', () => {
  it('selects by fields that are written out, beside those that have chips', () => {
    expect(lifted({ q: 'endpoint:bria status:4xx,5xx' })).toEqual({ q: undefined, endpoint: ['bria'], status: ['4xx', '5xx'] });
    expect(lifted({ q: 'status:500 images', status: ['4xx'] })).toEqual({ q: 'images', status: ['4xx', '500'] });
    expect(lifted({ q: '!edge:edge-1 cost:1.50 slow:2s' })).toEqual({ q: undefined, edge: ['!edge-1'], cost: '1.50', slow: '2s' });
  });

  it('leaves alone what names no field', () => {
    for (const q of ['/v1/models:list', 'colour:red', 'a:b:c', 'req_123', 'status:', '']) expect(lifted({ q }).q).toBe(q);
    expect(lifted({ q: 'status:' }).status).toBeUndefined();
  });
});
