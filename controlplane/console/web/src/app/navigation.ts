// The destinations of the console, in the order of the sidebar.

import { IconActivity, IconBuildingBank, IconChartBar, IconHistory, IconHome2, IconKey, IconLock, IconRoute, IconServer2, IconSettings, IconUsers } from '@tabler/icons-react';
import { Permission } from '@/api/caller';
import { t } from '@/text/shell';

export interface Destination {
  to: string;
  label: string;
  icon: typeof IconHome2;
  /** Second key after "g". */
  key: string;
  needs: Permission;
  group?: string;
}

export const destinations: Destination[] = [
  { to: '/', label: t('overview'), icon: IconHome2, key: 'o', needs: Permission.SIGNED_IN },
  { to: '/endpoints', label: t('endpoints'), icon: IconRoute, key: 'e', needs: Permission.CONFIG_READ, group: t('traffic') },
  { to: '/requests', label: t('requests'), icon: IconActivity, key: 'r', needs: Permission.MONEY_READ, group: t('traffic') },
  { to: '/keys', label: t('keys'), icon: IconKey, key: 'k', needs: Permission.KEYS_READ, group: t('access') },
  { to: '/teams', label: t('teams'), icon: IconUsers, key: 't', needs: Permission.KEYS_READ, group: t('access') },
  { to: '/secrets', label: t('secrets'), icon: IconLock, key: 's', needs: Permission.SECRETS_READ, group: t('access') },
  { to: '/budgets', label: t('budgets'), icon: IconBuildingBank, key: 'b', needs: Permission.MONEY_READ, group: t('moneyGroup') },
  { to: '/usage', label: t('usage'), icon: IconChartBar, key: 'u', needs: Permission.MONEY_READ, group: t('moneyGroup') },
  { to: '/edges', label: t('edges'), icon: IconServer2, key: 'n', needs: Permission.EDGES_READ, group: t('platform') },
  { to: '/audit', label: t('audit'), icon: IconHistory, key: 'a', needs: Permission.AUDIT_READ, group: t('platform') },
  { to: '/settings', label: t('settings'), icon: IconSettings, key: ',', needs: Permission.CONFIG_READ, group: t('platform') },
];
