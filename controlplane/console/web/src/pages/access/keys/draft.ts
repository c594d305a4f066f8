// A key as it is being written in a form.

import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { type Budget, Enforcement, Period } from '@/gen/tollgate/control/v1/budget_pb';
import { type CreateKeyRequestSchema, type Key, type UpdateKeyRequestSchema } from '@/gen/tollgate/control/v1/key_pb';
import { money, nanos } from '@/lib/money';
import { millis } from '@/lib/time';
import { dayIn, startOfDay } from '@/lib/usage';

export interface Draft {
  name: string;
  description: string;
  team: string;
  customer: string;
  /** Endpoints that it may call; see restricted. */
  endpoints: string[];
  /** Whether endpoints limits it. A form for a new key asks for endpoints only: without any, the key may call all. */
  restricted: boolean;
  models: string[];
  methods: string[];
  networks: string[];
  tags: string[];
  /** Days, "date" for the one in date, or empty for never. */
  expires: '' | '30' | '90' | 'date';
  date: string;
  /** Nano-dollars as text, since drafts are kept as JSON; empty for no budget. */
  amount: string;
  period: Period;
  hard: boolean;
  /** Requests a minute; empty for no limit. */
  rate: string;
}

export const emptyDraft: Draft = {
  name: '',
  description: '',
  team: '',
  customer: '',
  endpoints: [],
  restricted: false,
  models: [],
  methods: [],
  networks: [],
  tags: [],
  expires: '',
  date: '',
  amount: '',
  period: Period.MONTH,
  hard: true,
  rate: '',
};

/** The periods that a key's form offers. */
export const periods = [Period.DAY, Period.WEEK, Period.MONTH, Period.TOTAL] as const;

const day = 86_400_000;

/** When a key stops working, in milliseconds; undefined for never. */
export function expiry(d: Draft, now: number, timeZone: string): number | undefined {
  if (d.expires === '') return undefined;
  if (d.expires === 'date') return d.date ? startOfDay(d.date, timeZone) : undefined;
  return now + Number(d.expires) * day;
}

const stamp = (ms: number | undefined) => (ms === undefined ? undefined : timestampFromMs(ms));

/** What is asked for a new key. The form shows what it gets, so nothing else is given to it. */
export function createRequest(d: Draft, now: number, timeZone: string): MessageInitShape<typeof CreateKeyRequestSchema> {
  return {
    name: d.name.trim(),
    description: d.description.trim(),
    team: d.team,
    customer: d.customer.trim(),
    endpoints: d.endpoints,
    models: d.models,
    methods: d.methods,
    networks: d.networks,
    tags: d.tags,
    ...(d.expires ? { expireTime: stamp(expiry(d, now, timeZone)) } : {}),
    ...(d.amount ? { budget: { amount: money(BigInt(d.amount)), period: d.period, enforcement: d.hard ? Enforcement.HARD : Enforcement.SOFT } } : {}),
    noDefaults: true,
  } as MessageInitShape<typeof CreateKeyRequestSchema>;
}

/** A key as a draft. */
export function draftOf(k: Key, timeZone: string): Draft {
  const end = millis(k.expireTime);
  return {
    ...emptyDraft,
    name: k.name,
    description: k.description,
    team: k.team,
    customer: k.customer,
    endpoints: k.endpoints,
    restricted: k.restricted,
    models: k.models,
    methods: k.methods,
    networks: k.networks,
    tags: k.tags,
    expires: end === undefined ? '' : 'date',
    date: end === undefined ? '' : dayIn(end, timeZone),
  };
}

/** A draft for a key like another: all but its name. */
export function like(k: Key, budget: Budget | undefined, rate: bigint | undefined, timeZone: string, now: number): Omit<Draft, 'name'> {
  const { name: _, ...d } = draftOf(k, timeZone);
  const gone = millis(k.expireTime) !== undefined && millis(k.expireTime)! <= now;
  return {
    ...d,
    ...(gone ? { expires: '' as const, date: '' } : {}),
    amount: budget ? String(nanos(budget.amount)) : '',
    period: budget && (periods as readonly Period[]).includes(budget.period) ? budget.period : Period.MONTH,
    hard: budget?.enforcement !== Enforcement.SOFT,
    rate: rate === undefined ? '' : String(rate),
  };
}

/** Fields that can be changed, by the names that the server gives them. */
export const editable = {
  description: ['description'],
  team: ['team'],
  customer: ['customer'],
  endpoints: ['endpoints', 'restricted'],
  models: ['models'],
  methods: ['methods'],
  networks: ['networks'],
  tags: ['tags'],
  expire_time: ['expires', 'date'],
} as const satisfies Record<string, readonly (keyof Draft)[]>;
export type Field = keyof typeof editable;
export const editableFields = Object.keys(editable) as Field[];

const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);

/** The fields in which two drafts differ. */
export const differing = (a: Draft, b: Draft): Field[] => editableFields.filter((f) => editable[f].some((k) => !same(a[k], b[k])));

/** The draft with a field as another one has it. */
export function withField(d: Draft, field: Field, from: Draft): Draft {
  return { ...d, ...Object.fromEntries(editable[field].map((k) => [k, from[k]])) };
}

/** What is asked to make a key what a draft says, where it is not that already; undefined if nothing changes. */
export function updateRequest(k: Key, base: Draft, d: Draft, now: number, timeZone: string): MessageInitShape<typeof UpdateKeyRequestSchema> | undefined {
  const changed = differing(base, d);
  if (!changed.length) return undefined;
  // A key that may call everything is made so by "restricted"; one that may call some, by naming them.
  const paths = changed.map((f) => (f === 'endpoints' && !d.restricted ? 'restricted' : f));
  return {
    key: k.id,
    etag: k.etag,
    description: d.description.trim(),
    team: d.team,
    customer: d.customer.trim(),
    endpoints: d.restricted ? d.endpoints : [],
    restricted: d.restricted,
    models: { names: d.models },
    methods: d.methods,
    networks: d.networks,
    tags: d.tags,
    expireTime: stamp(expiry(d, now, timeZone)),
    updateMask: { paths },
  } as MessageInitShape<typeof UpdateKeyRequestSchema>;
}
