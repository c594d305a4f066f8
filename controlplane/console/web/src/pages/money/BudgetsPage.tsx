import { Tabs } from '@mantine/core';
import { getRouteApi } from '@tanstack/react-router';
import { lazy, Suspense } from 'react';
import { Lines, Soon } from '@/components/Region';
import { t } from '@/text/money';
import { BudgetList } from './budgets/BudgetList';

const Limits = lazy(() => import('./limits/LimitList').then((m) => ({ default: m.LimitList })));
const route = getRouteApi('/budgets');

/** What may be spent, and how fast. */
export function BudgetsPage() {
  const { tab } = route.useSearch();
  const navigate = route.useNavigate();
  const tabs = (
    <Tabs value={tab ?? 'budgets'} onChange={(v) => void navigate({ search: () => (v === 'limits' ? { tab: 'limits' as const } : {}) })} aria-label={t('tabs')}>
      <Tabs.List aria-label={t('tabs')}>
        <Tabs.Tab value="budgets">{t('tab_budgets')}</Tabs.Tab>
        <Tabs.Tab value="limits">{t('tab_limits')}</Tabs.Tab>
      </Tabs.List>
    </Tabs>
  );
  if (tab !== 'limits') return <BudgetList tabs={tabs} />;
  return (
    <Suspense
      fallback={
        <Soon>
          <Lines n={8} />
        </Soon>
      }
    >
      <Limits tabs={tabs} />
    </Suspense>
  );
}
