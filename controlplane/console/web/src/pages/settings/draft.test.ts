import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { Enforcement, Period } from '@/gen/tollgate/control/v1/budget_pb';
import { SettingsSchema } from '@/gen/tollgate/control/v1/settings_pb';
import { money } from '@/lib/money';
import { changed, draftOf, maskOf, merge, settingsOf } from './draft';

const stored = create(SettingsSchema, {
  name: 'ACME', etag: 'e1', timeZone: 'Europe/Berlin',
  customers: { headers: ['x-customer'], create: true, budget: { amount: money(20_000_000_001n), period: Period.ROLLING, rollingDays: 14, enforcement: Enforcement.SOFT } },
  newKeys: { expireDays: 90 },
});

describe('a draft of settings', () => {
  it('makes what it was made of, to the last digit', () => {
    const again = settingsOf(draftOf(stored), stored);
    expect(again.customers?.budget).toEqual(stored.customers?.budget);
    expect({ ...again, customers: null }).toEqual({ ...stored, customers: null });
    expect(settingsOf(draftOf(create(SettingsSchema)), create(SettingsSchema)).timeZone).toBe('');
  });

  it('leaves out the budget of customers that are not created', () => {
    expect(settingsOf({ ...draftOf(stored), create: false }, stored).customers?.budget).toBeUndefined();
  });

  it('names what an update changes and nothing else', () => {
    const d = draftOf(stored);
    const fields = changed(d, { ...d, environment: 'production', headers: ['x-customer', 'x-user'], required: true });
    expect(maskOf(fields)).toEqual(['environment', 'customers']);
    expect(changed(d, { ...d, headers: ['x-customer'] })).toEqual([]);
  });

  it('keeps both sides where they changed different fields, and asks where they did not', () => {
    const base = draftOf(stored);
    const theirs = { ...base, name: 'Theirs', keyExpire: 30 };
    const mine = { ...base, environment: 'staging', name: 'Mine' };
    const { merged, both } = merge(base, theirs, mine);
    expect(merged).toEqual({ ...base, name: 'Mine', keyExpire: 30, environment: 'staging' });
    expect(both).toEqual(['name']);
    expect(merge(base, { ...base, name: 'Same' }, { ...base, name: 'Same' }).both).toEqual([]);
  });
});
