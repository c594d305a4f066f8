import { Button } from '@mantine/core';
import { useQuery } from '@connectrpc/connect-query';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { useHour, useNow } from '@/app/clock';
import { Empty } from '@/components/Region';
import { UsageService } from '@/gen/tollgate/control/v1/usage_pb';
import { ago, millis } from '@/lib/time';
import { t } from '@/text/usage';

const day = 86_400_000;

/** Nothing was used in a range: when something was, and how to see it. */
export function LastUse({ time, filtered, onShow, onClear }: { time: string; filtered: boolean; onShow: (from: string) => void; onClear: () => void }) {
  const now = useNow();
  const year = useHour() - 365 * day;
  const last = useQuery(UsageService.method.listRequests, { filter: { fromTime: timestampFromMs(year) }, pageSize: 1 }, { enabled: !filtered, staleTime: 60_000 });
  if (filtered) {
    return (
      <Empty
        title={t('emptyFiltered', { time })}
        actions={
          <Button variant="default" onClick={onClear}>
            {t('clearFilters')}
          </Button>
        }
      />
    );
  }
  const at = millis(last.data?.requests[0]?.time);
  const near = at !== undefined && now - at < 30 * day;
  return (
    <Empty
      title={t('empty', { time })}
      actions={
        at !== undefined ? (
          <Button onClick={() => onShow(near ? '-30d' : '-365d')}>{t('showLast', { range: near ? t('last30') : t('lastYear') })}</Button>
        ) : undefined
      }
    >
      {at !== undefined ? t('lastRequest', { ago: ago(at, now) }) : last.data && !last.data.nextPageToken ? t('neverAny') : ''}
    </Empty>
  );
}
