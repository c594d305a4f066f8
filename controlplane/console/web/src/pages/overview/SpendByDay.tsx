import { SegmentedControl } from '@mantine/core';
import { useQuery } from '@connectrpc/connect-query';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { useHour } from '@/app/clock';
import { zone } from '@/app/preferences';
import { Section } from '@/components/Page';
import { Empty, Region } from '@/components/Region';
import { TimeChart } from '@/components/TimeChart';
import { UsageDimension, UsageService } from '@/gen/tollgate/control/v1/usage_pb';
import { exact, nanos, shareOf, short } from '@/lib/money';
import { resolve, type Range } from '@/lib/range';
import { percent } from '@/lib/text';
import { zoneId } from '@/lib/time';
import { type Group, groupName, seriesOf } from '@/lib/usage';
import { seriesColor } from '@/theme';
import { t } from '@/text/overview';

type By = Extract<Group, 'endpoint' | 'key' | 'team'>;
const dimensions: Record<By, UsageDimension> = { endpoint: UsageDimension.ENDPOINT, key: UsageDimension.KEY, team: UsageDimension.TEAM };

/** What was spent, day by day, and on what. */
export function SpendByDay({ range, group, onGroup }: { range: Range; group: By; onGroup: (group: By) => void }) {
  const z = zone.use();
  // Usage is kept by the hour, so the question stays the same for that long.
  const { from, to } = resolve(range, useHour() + 3_600_000);
  const bucket = to - from <= 49 * 3_600_000 ? 'hour' : 'day';
  const usage = useQuery(
    UsageService.method.queryUsage,
    {
      fromTime: timestampFromMs(from),
      toTime: timestampFromMs(to),
      groupBy: [dimensions[group], bucket === 'day' ? UsageDimension.DAY : UsageDimension.HOUR],
      topN: 6,
      timeZone: zoneId(z),
    },
    { refetchInterval: 30_000 },
  );
  const names: Record<By, string> = { endpoint: t('byEndpoint'), key: t('byKey'), team: t('byTeam') };
  return (
    <Section
      title={t('spendDays', { group: names[group].toLowerCase() })}
      actions={
        <SegmentedControl aria-label={t('groupBy')} value={group} onChange={(v) => onGroup(v as By)} data={(Object.keys(names) as By[]).map((value) => ({ value, label: names[value] }))} />
      }
    >
      <Region query={usage} skeleton={8}>
        {(data) => {
          const total = nanos(data.total?.cost);
          if (total === 0n) return <Empty title={t('spendEmpty')} />;
          const s = seriesOf(data, group, 'spend', { from, to }, bucket, zoneId(z));
          const top = data.groups[0];
          const name = (n: string, other: boolean) => (other ? t('other') : n || t('without'));
          return (
            <TimeChart
              summary={t('spendSummary', {
                amount: exact(total),
                top: top ? name(groupName(top, group), top.other) : '',
                share: percent(shareOf(nanos(top?.cost), total)),
              })}
              times={s.times}
              series={s.groups.map((g, i) => ({ id: g.id || 'none', label: name(g.name, g.other), values: g.values, color: g.other ? 'var(--t-7)' : seriesColor(i % 6) }))}
              kind="bars"
              stacked
              height={200}
              format={(v) => short(BigInt(Math.round(v * 1e9)))}
            />
          );
        }}
      </Region>
    </Section>
  );
}
