// How many things need attention, for the sidebar.

import { useQuery } from '@connectrpc/connect-query';
import { OverviewService } from '@/gen/tollgate/control/v1/overview_pb';
import { t } from '@/text/shell';
import { countedAt } from './attention';

export interface CountBadge {
  n: number;
  /** What the number counts, for who cannot see where it stands. */
  label: string;
}

/** By the address of the destination. */
export function useBadges(): Record<string, CountBadge | undefined> {
  const { data } = useQuery(OverviewService.method.listAttention, { limit: 20 }, { refetchInterval: 10_000 });
  const out: Record<string, CountBadge> = {};
  for (const c of data?.counts ?? []) {
    const to = countedAt[c.kind];
    if (!to) continue;
    const n = (out[to]?.n ?? 0) + c.count;
    out[to] = { n, label: t('needAttention', { n }) };
  }
  return out;
}
