// Changes of prices by meters. Each works on a copy, and leaves alone what it is not about: whatever a price can hold is there
// after an edit as it was before.

import { clone, create } from '@bufbuild/protobuf';
import {
  type Bound,
  BoundSchema,
  CounterSchema,
  type Counter,
  type Meter,
  MeterHoldSchema,
  MeterSchema,
  type Metered,
  MeteredSchema,
  ModelPriceSchema,
  type Source,
  SourceSchema,
  type Unit,
  UnitPriceSchema,
  type UnitPrice,
  UnitSchema,
} from '@/gen/tollgate/control/v1/meter_pb';
import { unused } from './paths';

export type Place = Exclude<Source['place']['case'], undefined>;
/** Where a value is looked for, in the order in which it is offered. */
export const places: Place[] = ['frame', 'header', 'request', 'measure', 'requestHeader', 'query', 'form', 'path', 'trailer', 'constant'];
export const measures = ['request_bytes', 'response_bytes', 'seconds', 'frames'];
export const aggregates = ['last', 'first', 'sum', 'max', 'count', 'length'];

/** One line of what is billed. */
export interface Row {
  unit: Unit;
  /** The counter that it is, where it is one and nothing else. Others are told as a sum. */
  counter: Counter | undefined;
  /** What it costs for every number and variant, if the model has that. */
  price: UnitPrice | undefined;
  /** What it costs above a number, or for a variant. */
  further: UnitPrice[];
}

/** A price by meters to begin with. */
export function newMetered(): Metered {
  return create(MeteredSchema, { unmatched: 'unpriced', fallback: '0', meters: [newMeter([])] });
}

export function newMeter(taken: string[]): Meter {
  return create(MeterSchema, {
    name: unused('requests', taken).replaceAll('_', '-'),
    prices: [{ model: '*' }],
    hold: { learned: true, least: '0.01' },
  });
}

/** The lines of a meter by the prices of one of its models. */
export function rowsOf(meter: Meter, model: number): Row[] {
  const rates = meter.prices[model]?.rates ?? [];
  return meter.units.map((unit) => {
    const own = rates.filter((r) => r.unit === unit.name);
    const price = own.find((r) => r.above === 0n && r.variant === '');
    return { unit, counter: plainCounter(meter, unit), price, further: own.filter((r) => r !== price) };
  });
}

/** The counters that are added to make a unit: those that it names, or the one that is called like it. */
export const addedTo = (unit: Unit): string[] => (unit.add.length ? unit.add : [unit.name]);

function plainCounter(meter: Meter, unit: Unit): Counter | undefined {
  const added = addedTo(unit);
  return added.length === 1 && unit.subtract.length === 0 ? meter.counters.find((c) => c.name === added[0]) : undefined;
}

/** A place. Only documents of answers have events, of whose kind it may be. */
export const sourceOf = (place: Place, value: string, event = ''): Source =>
  create(SourceSchema, { place: { case: place, value }, event: place === 'frame' ? event : '' });

/** Bills one more number. Its price is left to be said. The answer is the name of its unit. */
export function bill(meter: Meter, name: string, source: Source, aggregate = ''): string {
  const unit = unused(name, [...meter.units.map((u) => u.name), ...meter.counters.map((c) => c.name)]);
  meter.counters.push(create(CounterSchema, { name: unit, sources: [source], aggregate }));
  meter.units.push(create(UnitSchema, { name: unit }));
  if (!meter.prices.length && !meter.book) meter.prices.push(create(ModelPriceSchema, { model: '*' }));
  for (const p of meter.prices) p.rates.push(create(UnitPriceSchema, { unit, per: 1n }));
  return unit;
}

/** The unit that a source is billed by already. */
export function billedBy(meter: Meter, source: Source): Unit | undefined {
  const same = (s: Source) => s.place.case === source.place.case && s.place.value === source.place.value;
  return meter.units.find((u) => plainCounter(meter, u)?.sources.some(same));
}

/** Bills a unit no more. Counters that nothing else needs go with it. */
export function drop(meter: Meter, name: string): void {
  const unit = meter.units.find((u) => u.name === name);
  if (!unit) return;
  meter.units = meter.units.filter((u) => u !== unit);
  for (const p of meter.prices) p.rates = p.rates.filter((r) => r.unit !== name);
  for (const u of meter.units) if (u.otherwise === name) u.otherwise = '';
  if (meter.hold) meter.hold.bounds = meter.hold.bounds.filter((b) => b.unit !== name);
  const needed = new Set([...meter.tier, ...meter.units.flatMap((u) => [...addedTo(u), ...u.subtract])]);
  const mine = new Set([...addedTo(unit), ...unit.subtract]);
  meter.counters = meter.counters.filter((c) => !mine.has(c.name) || needed.has(c.name));
}

/** Gives a unit another name, wherever it is named. Its counter keeps its own. */
export function rename(meter: Meter, from: string, to: string): void {
  const unit = meter.units.find((u) => u.name === from);
  if (!unit || from === to) return;
  if (!unit.add.length) unit.add = [from];
  unit.name = to;
  if (unit.add.length === 1 && unit.add[0] === to) unit.add = [];
  for (const p of meter.prices) for (const r of p.rates) if (r.unit === from) r.unit = to;
  for (const u of meter.units) if (u.otherwise === from) u.otherwise = to;
  for (const b of meter.hold?.bounds ?? []) if (b.unit === from) b.unit = to;
}

/** Says what a unit costs. An empty price takes away what was said. */
export function rate(meter: Meter, model: number, unit: string, change: { price?: string; per?: bigint }): void {
  let row = meter.prices[model];
  if (!row) {
    row = create(ModelPriceSchema, { model: '*' });
    meter.prices.push(row);
  }
  let found = row.rates.find((r) => r.unit === unit && r.above === 0n && r.variant === '');
  if (!found) {
    found = create(UnitPriceSchema, { unit, per: 1n });
    row.rates.push(found);
  }
  if (change.price !== undefined) found.price = decimal(change.price);
  if (change.per !== undefined) found.per = change.per;
}

/** A model of its own, with the units of the meter and no prices yet, before the one that holds for any. */
export function addModel(meter: Meter, model: string): number {
  const row = create(ModelPriceSchema, { model, rates: meter.units.map((u) => ({ unit: u.name, per: 1n })) });
  const any = meter.prices.findIndex((p) => p.model === '*');
  const at = any < 0 ? meter.prices.length : any;
  meter.prices.splice(at, 0, row);
  return at;
}

/** What is typed for a number as the wire has it: without a dollar sign, and without commas between thousands. */
export const decimal = (text: string) => text.trim().replace(/^\$\s*/, '').replace(/(?<=\d),(?=\d{3}(\D|$))/g, '').replace(/^\./, '0.');

/** How a reserve is found. */
export type HoldKind = 'amount' | 'bounds' | 'learned' | 'least';
export function holdKind(meter: Meter): HoldKind {
  const h = meter.hold;
  if (h?.amount) return 'amount';
  if (h?.bounds.length) return 'bounds';
  return h?.learned ? 'learned' : 'least';
}

/** Has the reserve found in another way. Bounds that were there are given back by `kept`. */
export function setHold(meter: Meter, kind: HoldKind, kept: Bound[] = []): void {
  const h = meter.hold ?? (meter.hold = create(MeterHoldSchema, {}));
  const amount = h.amount || h.least || '0.01';
  h.amount = kind === 'amount' ? amount : '';
  if (kind !== 'amount' && !h.least) h.least = amount;
  h.learned = kind === 'learned' || (kind === 'bounds' && h.learned);
  h.bounds = kind === 'bounds' ? kept.map((b) => clone(BoundSchema, b)) : [];
}
