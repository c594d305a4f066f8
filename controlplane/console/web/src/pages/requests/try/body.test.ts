import { describe, expect, it } from 'vitest';
import { events, hex, kindOf } from './body';

const bytes = (s: string) => new TextEncoder().encode(s);

describe('a body', () => {
  it.each([
    ['application/json; charset=utf-8', '{"a":1}', 'json'],
    ['application/problem+json', '{"a":1}', 'json'],
    ['application/json', '{"a":', 'text'],
    ['text/event-stream', 'data: 1\n\n', 'events'],
    ['text/html', '<p>', 'text'],
    ['', '{"a":1}', 'json'],
    ['', 'hello', 'text'],
    [undefined, '', 'none'],
    ['image/png', 'x', 'binary'],
  ])('of type %s is shown as what it is', (type, body, kind) => {
    expect(kindOf(type, bytes(body))).toBe(kind);
  });
  it('with bytes that are no text is binary', () => {
    expect(kindOf(undefined, new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0, 1]))).toBe('binary');
    expect(kindOf(undefined, new Uint8Array([0xff, 0xfe, 1]))).toBe('binary');
  });
  it('is told in sixteen bytes a line', () => {
    expect(hex(bytes('0123456789abcdefX\n'), 1000)).toBe(
      '000000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  0123456789abcdef\n000010  58 0a                                            X.',
    );
    expect(hex(new Uint8Array(64), 32).split('\n')).toHaveLength(2);
  });
  it('of events is told event by event', () => {
    expect(events('event: a\ndata: {"x":1}\ndata: y\n\n: note\n\ndata:[DONE]\r\n\r\ndata: half')).toEqual([
      { name: 'a', data: '{"x":1}\ny' },
      { name: '', data: '[DONE]' },
      { name: '', data: 'half' },
    ]);
  });
});
