import { create } from '@bufbuild/protobuf';
import { DurationSchema, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { describe, expect, it } from 'vitest';
import { TailRequestsResponseSchema } from '@/gen/tollgate/control/v1/request_pb';
import { isMark, most, TailBuffer } from './tail';

let n = 0;
const message = (count: number, more: { leftOut?: number; gap?: boolean; status?: number } = {}) =>
  create(TailRequestsResponseSchema, {
    requests: Array.from({ length: count }, () => ({
      requestId: `req_${++n}`,
      time: timestampFromMs(1_700_000_000_000 + n),
      status: more.status ?? 200,
      gateway: create(DurationSchema, { nanos: 800_000 }),
      upstream: create(DurationSchema, { seconds: 1n, nanos: 412_000_000 }),
    })),
    resumeToken: `t${n}`,
    leftOut: BigInt(more.leftOut ?? 0),
    gap: more.gap ?? false,
  });

describe('a live list', () => {
  it('has the newest on top and keeps so many', () => {
    const b = new TailBuffer();
    for (let i = 0; i < 50; i++) b.add(message(100), i * 10);
    const { items, received } = b.view(500);
    expect(items).toHaveLength(most);
    expect(received).toBe(5000);
    const ids = items.map((i) => Number((isMark(i) ? '' : i.id).slice(4)));
    expect(ids).toEqual(ids.toSorted((x, y) => y - x));
    expect(ids[0]).toBe(n);
    expect(b.token).toBe(`t${n}`);
  });

  it('lets what comes wait while it is paused, and shows it in order', () => {
    const b = new TailBuffer();
    b.add(message(3), 0);
    b.pause(true);
    b.add(message(4), 10);
    b.add(message(39), 20);
    expect(b.view(30).items).toHaveLength(3);
    expect(b.view(30).waiting).toBe(43);
    b.pause(false);
    const { items, waiting } = b.view(40);
    expect(waiting).toBe(0);
    expect(items).toHaveLength(46);
    expect(isMark(items[0]!) ? '' : items[0]!.id).toBe(`req_${n}`);
    b.pause(true);
    for (let i = 0; i < 30; i++) b.add(message(100), 50);
    expect(b.view(60).waiting).toBe(most);
  });

  it('marks where it was disconnected, and how many came of that time', () => {
    const b = new TailBuffer();
    b.lost(0); // before there was anything
    b.add(message(1), 100);
    expect(b.view(100).items.some(isMark)).toBe(false);
    b.lost(1000);
    b.lost(3000); // it is tried again, in vain
    b.add(message(12), 5000);
    const { items } = b.view(5000);
    expect(items).toHaveLength(14);
    expect(items[12]).toMatchObject({ mark: 'reconnected', away: 4000, filled: 12 });
    b.add(message(1), 5100);
    expect(b.view(5100).items.filter(isMark)).toHaveLength(1);
    b.add(message(1, { gap: true }), 5200);
    expect(b.view(5200).items[1]).toMatchObject({ mark: 'gap' });
  });

  it('tells the true rate of what is a sample', () => {
    const b = new TailBuffer();
    for (let i = 0; i <= 50; i++) b.add(message(2, { leftOut: 10 }), i * 100);
    const v = b.view(5000);
    expect(v.rate).toBeGreaterThan(110);
    expect(v.rate).toBeLessThan(125);
    expect(v.sample).toBeCloseTo(6);
    expect(b.view(60_000).rate).toBe(0);
    const all = new TailBuffer();
    all.add(message(5, { status: 502 }), 0);
    expect(all.view(500).sample).toBe(1);
    expect(all.view(500).errors).toBe(5);
  });

  it('adds up gateway and target', () => {
    const b = new TailBuffer();
    b.add(message(1), 0);
    const [row] = b.view(0).items;
    expect(row).toMatchObject({ gateway: 0.8, upstream: 1412, total: 1412.8 });
  });

  it('begins anew when it is cleared', () => {
    const b = new TailBuffer();
    b.add(message(3), 0);
    b.lost(10);
    b.clear();
    expect(b.view(20).items).toHaveLength(0);
    expect(b.token).toBe('');
    b.add(message(1), 30);
    expect(b.view(40).items).toHaveLength(1);
  });
});
