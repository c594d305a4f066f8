// What the fields of settings are called and how their values read, where two of them are compared.

import { Period } from '@/gen/tollgate/control/v1/budget_pb';
import { exact } from '@/lib/money';
import { t } from '@/text/general';
import type { Draft } from './draft';

const labels: Record<keyof Draft, string> = {
  name: t('name'),
  gatewayUrl: t('gatewayUrl'),
  timeZone: t('timeZone'),
  environment: t('environment'),
  color: t('color'),
  headers: t('headers'),
  bodyFields: t('bodyFields'),
  required: t('required'),
  create: t('create'),
  customerAmount: `${t('customerBudget')}: ${t('amount')}`,
  customerPeriod: `${t('customerBudget')}: ${t('period')}`,
  customerHard: `${t('customerBudget')}: ${t('enforcement')}`,
  keyExpire: t('keyExpire'),
  keyMost: t('keyMost'),
  keyAmount: `${t('keyBudget')}: ${t('amount')}`,
  keyPeriod: `${t('keyBudget')}: ${t('period')}`,
  keyHard: `${t('keyBudget')}: ${t('enforcement')}`,
};

export const labelOf = (field: keyof Draft) => labels[field];

export function shownValue(field: keyof Draft, d: Draft): string {
  switch (field) {
    case 'customerAmount':
    case 'keyAmount':
      return d[field] ? exact(BigInt(d[field])) : t('noBudget');
    case 'customerPeriod':
    case 'keyPeriod':
      return t(`per_${Period[d[field]] as 'DAY'}`);
    case 'customerHard':
    case 'keyHard':
      return t(d[field] ? 'hard' : 'soft');
    case 'color':
      return t(`color_${d.color as 'red'}`);
    case 'keyExpire':
    case 'keyMost':
      return d[field] ? `${d[field]} ${t('days')}` : t(field === 'keyExpire' ? 'never' : 'any');
    default: {
      const value = d[field];
      return typeof value === 'boolean' ? t(value ? 'yes' : 'no') : Array.isArray(value) ? value.join(', ') : value;
    }
  }
}
