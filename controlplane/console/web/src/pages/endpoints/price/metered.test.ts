import { clone, create, equals, fromJson } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { type Meter, MeterSchema } from '@/gen/tollgate/control/v1/meter_pb';
import { addModel, bill, billedBy, decimal, drop, holdKind, newMeter, rate, rename, rowsOf, setHold, sourceOf } from './metered';

// A meter with something in each of its fields.
const whole = (): Meter =>
  fromJson(MeterSchema, {
    name: 'chat',
    match: { methods: ['POST'], path: '^/v1/chat$' },
    model: [{ frame: 'model' }, { request: 'model' }],
    models: { a: 'b' },
    counters: [
      { name: 'prompt', sources: [{ frame: 'usage.prompt_tokens', event: 'end' }, { header: 'x-prompt' }] },
      { name: 'cached', sources: [{ frame: 'usage.cached' }], optional: true },
      { name: 'output', sources: [{ frame: 'usage.output' }], aggregate: 'sum', default: '0', quoted: true },
    ],
    units: [{ name: 'input', add: ['prompt'], subtract: ['cached'] }, { name: 'cached_input', add: ['cached'], otherwise: 'input' }, { name: 'output', unlimited: true }],
    prices: [
      {
        model: 'big-*',
        rates: [
          { unit: 'input', price: '2.50', per: '1000000' },
          { unit: 'input', price: '5', per: '1000000', above: '128000' },
          { unit: 'output', price: '10', per: '1000000' },
          { unit: 'output', price: '4', per: '1000000', variant: 'flex' },
        ],
      },
      { model: '*', rates: [{ unit: 'input', price: '1', per: '1000000' }] },
    ],
    book: 'openai',
    variant: [{ frame: 'tier' }],
    variants: { default: '' },
    tier: ['prompt'],
    base: '0.001',
    minimum: '0.002',
    maximum: '9',
    charge: { statuses: ['2xx'], unless: [{ source: { frame: 'error' } }] },
    hold: { bounds: [{ unit: 'input', sources: [{ measure: 'request_bytes' }] }, { unit: 'output', sources: [{ request: 'max_tokens' }], assume: '16384', enforce: 'max_tokens' }], learned: true, least: '0.01' },
    inject: [{ field: 'stream_options.include_usage', value: 'true', strip: 'usage_only' }],
    job: { id: [{ frame: 'id' }], begins: true },
  });

const edited = (change: (m: Meter) => void): Meter => {
  const m = whole();
  change(m);
  return m;
};

describe('edits of meters', () => {
  it('leave alone what they are not about', () => {
    const m = edited((m) => {
      rate(m, 0, 'input', { price: '3' });
    });
    rate(m, 0, 'input', { price: '2.50' });
    expect(equals(MeterSchema, m, whole())).toBe(true);
    const renamed = edited((m) => {
      rename(m, 'input', 'in');
      rename(m, 'in', 'input');
    });
    expect(equals(MeterSchema, renamed, whole())).toBe(true);
    const billed = edited((m) => drop(m, bill(m, 'pages', sourceOf('frame', 'pages'))));
    expect(equals(MeterSchema, billed, whole())).toBe(true);
    const held = edited((m) => {
      const bounds = m.hold!.bounds;
      setHold(m, 'least');
      expect(m.hold!.bounds).toEqual([]);
      setHold(m, 'bounds', bounds);
      m.hold!.learned = true;
    });
    expect(equals(MeterSchema, held, whole())).toBe(true);
  });

  it('show units that are one counter, and others as what they are made of', () => {
    const rows = rowsOf(whole(), 0);
    expect(rows.map((r) => [r.unit.name, r.counter?.name, r.price?.price, r.further.map((f) => f.price)])).toEqual([
      ['input', undefined, '2.50', ['5']],
      ['cached_input', 'cached', undefined, []],
      ['output', 'output', '10', ['4']],
    ]);
    expect(rowsOf(whole(), 1).map((r) => r.price?.price)).toEqual(['1', undefined, undefined]);
  });

  it('bill a number that was pressed', () => {
    const m = newMeter([]);
    const unit = bill(m, 'search_units', sourceOf('frame', 'meta.billed_units.search_units'));
    rate(m, 0, unit, { price: '$0.002' });
    expect(
      equals(
        MeterSchema,
        m,
        create(MeterSchema, {
          name: 'requests',
          counters: [{ name: 'search_units', sources: [sourceOf('frame', 'meta.billed_units.search_units')] }],
          units: [{ name: 'search_units' }],
          prices: [{ model: '*', rates: [{ unit: 'search_units', price: '0.002', per: 1n }] }],
          hold: { learned: true, least: '0.01' },
        }),
      ),
    ).toBe(true);
    expect(billedBy(m, sourceOf('frame', 'meta.billed_units.search_units'))?.name).toBe('search_units');
    expect(billedBy(m, sourceOf('request', 'meta.billed_units.search_units'))).toBeUndefined();
    expect(bill(m, 'search_units', sourceOf('request', 'n'))).toBe('search_units_2');
  });

  it('take away what only the dropped unit needs', () => {
    const m = edited((m) => drop(m, 'input'));
    // The tier still counts prompt, and cached_input still counts cached.
    expect(m.counters.map((c) => c.name)).toEqual(['prompt', 'cached', 'output']);
    expect(m.units.map((u) => [u.name, u.otherwise])).toEqual([['cached_input', ''], ['output', '']]);
    expect(m.prices.flatMap((p) => p.rates.map((r) => r.unit))).toEqual(['output', 'output']);
    expect(m.hold!.bounds.map((b) => b.unit)).toEqual(['output']);
    drop(m, 'output');
    expect(m.counters.map((c) => c.name)).toEqual(['prompt', 'cached']);
  });

  it('rename a unit wherever it is named, and never its counter', () => {
    const m = edited((m) => rename(m, 'output', 'completion'));
    expect(m.units[2]).toMatchObject({ name: 'completion', add: ['output'], unlimited: true });
    expect(m.prices[0]!.rates.map((r) => r.unit)).toEqual(['input', 'input', 'completion', 'completion']);
    expect(m.hold!.bounds[1]!.unit).toBe('completion');
    expect(m.counters[2]!.name).toBe('output');
  });

  it('put a model before the one that stands for any', () => {
    const m = whole();
    expect(addModel(m, 'small')).toBe(1);
    expect(m.prices.map((p) => p.model)).toEqual(['big-*', 'small', '*']);
    expect(m.prices[1]!.rates.map((r) => r.unit)).toEqual(['input', 'cached_input', 'output']);
  });

  it('tell how the reserve is found', () => {
    const m = whole();
    expect(holdKind(m)).toBe('bounds');
    setHold(m, 'amount');
    expect([holdKind(m), m.hold!.amount]).toEqual(['amount', '0.01']);
    setHold(m, 'learned');
    expect([holdKind(m), m.hold!.amount, m.hold!.least]).toEqual(['learned', '', '0.01']);
    expect(holdKind(clone(MeterSchema, newMeter([])))).toBe('learned');
  });

  it('read decimals as people type them', () => {
    expect([' $1,200.50 ', '.002', '0.000000000001', '1,2', 'abc'].map(decimal)).toEqual(['1200.50', '0.002', '0.000000000001', '1,2', 'abc']);
  });
});
