// What endpoints did in the last day and cost this month: two questions for all of them together.

import { useQuery } from '@connectrpc/connect-query';
import { whole } from '@/lib/text';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Permission, useCaller } from '@/api/caller';
import { useHour } from '@/app/clock';
import { zone } from '@/app/preferences';
import { UsageDimension, UsageService } from '@/gen/tollgate/control/v1/usage_pb';
import { nanos } from '@/lib/money';
import { millis, zoneId } from '@/lib/time';
import { useMemo } from 'react';
import type { Recent } from './facts';

const hour = 3_600_000;
const refreshEvery = 30_000;
const isoHour = (ms: number) => new Date(ms).toISOString().slice(0, 13);

/** The last 24 hours as the ledger names them, oldest first; the last is the one that runs. */
export const lastHours = (now: number): string[] => Array.from({ length: 24 }, (_, i) => isoHour(now - (23 - i) * hour));

export interface RecentUsage {
  recent: Map<string, Recent>;
  spend: Map<string, bigint>;
  asOf: number | undefined;
  error: unknown;
  /** Whether figures are there, and an endpoint without any had no requests. */
  known: boolean;
}

/** Figures of every endpoint by its id, or of one. */
export function useRecent(endpoint = ''): RecentUsage {
  const { may } = useCaller();
  const enabled = may(Permission.MONEY_READ);
  const z = zone.use();
  // Times of questions stay the same for an hour, so that answers are found again.
  const thisHour = useHour();
  const timeZone = zoneId(z);
  const hours = useQuery(
    UsageService.method.queryUsage,
    { fromTime: timestampFromMs(thisHour - 23 * hour), endpoint, groupBy: [UsageDimension.ENDPOINT, UsageDimension.HOUR] },
    { enabled, refetchInterval: refreshEvery },
  );
  const month = useQuery(UsageService.method.queryUsage, { fromDay: firstOfMonth(thisHour, timeZone), timeZone, endpoint, groupBy: [UsageDimension.ENDPOINT] }, { enabled, refetchInterval: refreshEvery });
  return useMemo(() => {
    const places = new Map(lastHours(thisHour).map((h, i) => [h, i]));
    const recent = new Map<string, Recent>();
    for (const row of hours.data?.rows ?? []) {
      const at = places.get(row.hour);
      if (at === undefined) continue;
      const r = recent.get(row.endpointId) ?? { requests: 0, errors: 0, failed: 0, unpriced: 0, cost: 0n, hours: new Array<number>(24).fill(0) };
      r.requests += Number(row.requests);
      r.errors += Number(row.errors);
      r.failed += Number(row.failed);
      r.unpriced += whole(row.unpriced);
      r.cost += nanos(row.cost);
      r.hours[at]! += Number(row.requests);
      recent.set(row.endpointId, r);
    }
    const asOf = hours.data?.asOf;
    return {
      recent,
      spend: new Map((month.data?.rows ?? []).map((r) => [r.endpointId, nanos(r.cost)])),
      asOf: millis(asOf),
      error: hours.error ?? month.error,
      known: hours.data !== undefined,
    };
  }, [hours.data, hours.error, month.data, month.error, thisHour]);
}

/** The first day of the month in a zone: "2026-11-01". */
export function firstOfMonth(now: number, timeZone: string): string {
  const parts = Object.fromEntries(new Intl.DateTimeFormat('en', { timeZone, year: 'numeric', month: '2-digit' }).formatToParts(now).map((p) => [p.type, p.value]));
  return `${parts.year}-${parts.month}-01`;
}
