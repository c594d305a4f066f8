// What keys or teams used, and what their budgets are: a few questions for all of them together.

import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { useQuery } from '@connectrpc/connect-query';
import { useMemo } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { useHour } from '@/app/clock';
import { zone } from '@/app/preferences';
import { BudgetService } from '@/gen/tollgate/control/v1/budget_pb';
import { UsageDimension, type UsageRow, UsageService } from '@/gen/tollgate/control/v1/usage_pb';
import { nanos } from '@/lib/money';
import { millis, zoneId } from '@/lib/time';
import { dayIn, startOfDay } from '@/lib/usage';
import { type Purse, purses } from './keys/facts';

const hour = 3_600_000;
const refreshEvery = 30_000;
const most = 1000;

export interface Used {
  requests: bigint;
  /** Beginning of the last hour, or of the last day before, in which there was a request. */
  last: number | undefined;
  /** What was spent since the month began. */
  spend: bigint;
}

export interface Figures {
  of: (id: string) => Used | undefined;
  asOf: number | undefined;
  error: unknown;
}

/** How much each key or team used in the last day and spent this month. Undefined for one that is not told of. */
export function useFigures(by: 'key' | 'team'): Figures {
  const { may } = useCaller();
  const enabled = may(Permission.MONEY_READ);
  const timeZone = zoneId(zone.use());
  const thisHour = useHour();
  const dimension = by === 'key' ? UsageDimension.KEY : UsageDimension.TEAM;
  const recent = useQuery(
    UsageService.method.queryUsage,
    { fromTime: timestampFromMs(thisHour - 23 * hour), groupBy: [dimension, UsageDimension.HOUR], topN: most },
    { enabled, refetchInterval: refreshEvery },
  );
  const today = dayIn(thisHour, timeZone);
  const month = useQuery(
    UsageService.method.queryUsage,
    { fromDay: dayIn(thisHour - 30 * 24 * hour, timeZone), timeZone, groupBy: [dimension, UsageDimension.DAY], topN: most },
    { enabled, refetchInterval: refreshEvery * 2 },
  );
  return useMemo(() => {
    const id = (r: UsageRow) => (by === 'key' ? r.keyId : r.team);
    const all = new Map<string, Used>();
    const used = (r: UsageRow): Used => {
      let u = all.get(id(r));
      if (!u) all.set(id(r), (u = { requests: 0n, last: undefined, spend: 0n }));
      return u;
    };
    for (const r of recent.data?.rows ?? []) {
      if (r.other) continue;
      const u = used(r);
      u.requests += r.requests;
      const at = Date.parse(`${r.hour}:00:00Z`);
      if (u.last === undefined || at > u.last) u.last = at;
    }
    const first = `${today.slice(0, 7)}-01`;
    for (const r of month.data?.rows ?? []) {
      if (r.other) continue;
      const u = used(r);
      if (r.day >= first) u.spend += nanos(r.cost);
      if (u.last === undefined || startOfDay(r.day, timeZone) > u.last) u.last = startOfDay(r.day, timeZone);
    }
    const known = recent.data !== undefined && month.data !== undefined;
    // Beyond the largest ones the ledger tells of all others together, and nothing of each.
    const complete = known && ![...recent.data.rows, ...month.data.rows].some((r) => r.other);
    return {
      of: (key) => (known ? (all.get(key) ?? (complete ? { requests: 0n, last: undefined, spend: 0n } : undefined)) : undefined),
      asOf: millis(recent.data?.asOf),
      error: recent.error ?? month.error,
    };
  }, [recent.data, recent.error, month.data, month.error, by, today, timeZone]);
}

/** The budgets of keys or of teams, by the names of these. */
export function useBudgets(scope: 'key' | 'team'): Map<string, Purse[]> | undefined {
  const { may } = useCaller();
  const { data } = useQuery(
    BudgetService.method.listBudgets,
    { filter: `scope:${scope}`, withStates: true, pageSize: most },
    { enabled: may(Permission.MONEY_READ), refetchInterval: refreshEvery },
  );
  return useMemo(() => {
    if (!data) return undefined;
    const out = new Map<string, Purse[]>();
    for (const p of purses(data)) {
      const name = p.budget.scope.value as string;
      const list = out.get(name);
      if (list) list.push(p);
      else out.set(name, [p]);
    }
    return out;
  }, [data]);
}
