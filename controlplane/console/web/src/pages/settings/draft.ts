// Settings as a form has them: flat, and as texts where they are typed.

import { create } from '@bufbuild/protobuf';
import { Enforcement, Period } from '@/gen/tollgate/control/v1/budget_pb';
import { type DefaultBudget, DefaultBudgetSchema, type Settings, SettingsSchema } from '@/gen/tollgate/control/v1/settings_pb';
import { money, nanos } from '@/lib/money';

export interface Draft {
  name: string;
  gatewayUrl: string;
  timeZone: string;
  environment: string;
  color: string;
  headers: string[];
  bodyFields: string[];
  required: boolean;
  create: boolean;
  customerAmount: string;
  customerPeriod: Period;
  customerHard: boolean;
  keyExpire: number;
  keyMost: number;
  keyAmount: string;
  keyPeriod: Period;
  keyHard: boolean;
}

const amount = (b: DefaultBudget | undefined) => (b ? String(nanos(b.amount)) : '');
const hard = (b: DefaultBudget | undefined) => b?.enforcement !== Enforcement.SOFT;

export const draftOf = (s: Settings): Draft => ({
  name: s.name,
  gatewayUrl: s.gatewayUrl,
  timeZone: s.timeZone || 'UTC',
  environment: s.environment,
  color: s.environmentColor,
  headers: s.customers?.headers ?? [],
  bodyFields: s.customers?.bodyFields ?? [],
  required: s.customers?.required ?? false,
  create: s.customers?.create ?? false,
  customerAmount: amount(s.customers?.budget),
  customerPeriod: s.customers?.budget?.period ?? Period.MONTH,
  customerHard: hard(s.customers?.budget),
  keyExpire: s.newKeys?.expireDays ?? 0,
  keyMost: s.newKeys?.mostExpireDays ?? 0,
  keyAmount: amount(s.newKeys?.budget),
  keyPeriod: s.newKeys?.budget?.period ?? Period.MONTH,
  keyHard: hard(s.newKeys?.budget),
});

function budget(nanoText: string, period: Period, isHard: boolean, before: DefaultBudget | undefined): DefaultBudget | undefined {
  if (!nanoText) return undefined;
  return create(DefaultBudgetSchema, {
    amount: money(BigInt(nanoText)),
    period,
    rollingDays: period === Period.ROLLING ? (before?.rollingDays ?? 30) : 0,
    enforcement: isHard ? Enforcement.HARD : Enforcement.SOFT,
  });
}

/** The settings that a draft makes of those that it began with. */
export function settingsOf(d: Draft, before: Settings): Settings {
  const customer = budget(d.create ? d.customerAmount : '', d.customerPeriod, d.customerHard, before.customers?.budget);
  const key = budget(d.keyAmount, d.keyPeriod, d.keyHard, before.newKeys?.budget);
  return create(SettingsSchema, {
    etag: before.etag,
    name: d.name.trim(),
    gatewayUrl: d.gatewayUrl.trim(),
    // UTC is told as nothing where nothing was said before, so that saving does not change it.
    timeZone: d.timeZone === 'UTC' && !before.timeZone ? '' : d.timeZone,
    environment: d.environment.trim(),
    environmentColor: d.color,
    customers: { headers: d.headers, bodyFields: d.bodyFields, create: d.create, required: d.required, ...(customer ? { budget: customer } : {}) },
    newKeys: { expireDays: d.keyExpire, mostExpireDays: d.keyMost, ...(key ? { budget: key } : {}) },
  });
}

const paths: Record<keyof Draft, string> = {
  name: 'name', gatewayUrl: 'gateway_url', timeZone: 'time_zone', environment: 'environment', color: 'environment_color',
  headers: 'customers', bodyFields: 'customers', required: 'customers', create: 'customers', customerAmount: 'customers', customerPeriod: 'customers', customerHard: 'customers',
  keyExpire: 'new_keys', keyMost: 'new_keys', keyAmount: 'new_keys', keyPeriod: 'new_keys', keyHard: 'new_keys',
};

export const fieldsOf = Object.keys(paths) as (keyof Draft)[];
const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);

/** The fields in which two drafts differ. */
export const changed = (a: Draft, b: Draft): (keyof Draft)[] => fieldsOf.filter((f) => !same(a[f], b[f]));

/** What an update has to name for these fields. */
export const maskOf = (fields: (keyof Draft)[]): string[] => [...new Set(fields.map((f) => paths[f]))];

/** Takes over what only the others changed; tells which fields both changed differently. */
export function merge(base: Draft, theirs: Draft, mine: Draft): { merged: Draft; both: (keyof Draft)[] } {
  const merged: Record<string, unknown> = { ...theirs };
  const both: (keyof Draft)[] = [];
  for (const f of changed(base, mine)) {
    merged[f] = mine[f];
    if (!same(base[f], theirs[f]) && !same(theirs[f], mine[f])) both.push(f);
  }
  return { merged: merged as unknown as Draft, both };
}
