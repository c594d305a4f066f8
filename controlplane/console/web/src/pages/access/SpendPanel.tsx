import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { useQuery } from '@connectrpc/connect-query';
import { keepPreviousData } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { RangePicker } from '@/components/RangePicker';
import { Section } from '@/components/Page';
import { Region } from '@/components/Region';
import { TimeChart } from '@/components/TimeChart';
import { AsOf } from '@/components/When';
import { UsageDimension, UsageService } from '@/gen/tollgate/control/v1/usage_pb';
import { brief, dollar, nanos, shareOf, short } from '@/lib/money';
import { count } from '@/lib/text';
import { type Group, groupName, seriesOf } from '@/lib/usage';
import { t } from '@/text/access';
import classes from './Access.module.css';
import type { useRange } from './useRange';

const hour = 3_600_000;
const refreshEvery = 30_000;

interface Props {
  /** Whose spend it is. */
  of: { key?: string; team?: string };
  range: ReturnType<typeof useRange>;
}

// In whole hours, since usage is kept by them; without an end the question stays the same while the answer grows.
const times = (r: { from: number; to: number }) => ({
  fromTime: timestampFromMs(Math.floor(r.from / hour) * hour),
  ...(r.to >= Date.now() - hour ? {} : { toTime: timestampFromMs(Math.ceil(r.to / hour) * hour) }),
});

/** What a key or a team spent over time. */
export function SpendPanel({ of, range: { range, resolved, set, timeZone } }: Props) {
  const bucket = resolved.to - resolved.from <= 3 * 24 * hour ? 'hour' : 'day';
  const query = useQuery(
    UsageService.method.queryUsage,
    { ...of, ...times(resolved), timeZone, groupBy: [bucket === 'day' ? UsageDimension.DAY : UsageDimension.HOUR] },
    { refetchInterval: refreshEvery, placeholderData: keepPreviousData },
  );
  return (
    <Section
      title={t('spend')}
      actions={
        <>
          <AsOf at={query.data?.asOf} />
          <RangePicker value={range} onChange={set} />
        </>
      }
    >
      <Region query={query}>
        {(d) => {
          if (!d.total?.requests) return <div className="dim">{t('noRequests')}</div>;
          const s = seriesOf(d, 'none', 'spend', resolved, bucket, timeZone);
          const total = nanos(d.total.cost);
          return (
            <>
              <div className={classes.row}>
                <b className={`num ${classes.total}`}>{short(total)}</b>
                <span className="dim">{t('requestsCount', { n: Number(d.total.requests) })}</span>
              </div>
              <TimeChart
                summary={t('spendSummary', { amount: short(total) })}
                times={s.times}
                series={s.groups.map((g) => ({ id: 'spend', label: t('spend'), values: g.values, color: 'var(--t-1)' }))}
                kind="bars"
                height={200}
                // What is drawn is a number; it is said again as an amount of the nearest nano-dollar.
                format={(v) => brief(BigInt(Math.round(v * Number(dollar))))}
                onZoom={(from, to) => set({ from: `${new Date(from).toISOString().slice(0, 19)}Z`, to: `${new Date(to).toISOString().slice(0, 19)}Z` })}
              />
            </>
          );
        }}
      </Region>
    </Section>
  );
}

/** What the spend was for, largest first. */
export function SpendBy({ of, range: { range, resolved, timeZone }, by, title, to }: Props & { by: Group & ('endpoint' | 'key'); title: string; to: (name: string) => { to: string; params: object } }) {
  const dimension = by === 'key' ? UsageDimension.KEY : UsageDimension.ENDPOINT;
  const query = useQuery(UsageService.method.queryUsage, { ...of, ...times(resolved), timeZone, groupBy: [dimension], topN: 8 }, { refetchInterval: refreshEvery, placeholderData: keepPreviousData });
  return (
    <Section
      title={title}
      actions={
        <Link to="/usage" search={{ ...range, group: by, q: Object.entries(of).map(([k, v]) => `${k}:${v}`).join(' ') } as never} className={classes.more}>
          {t('openUsage')}
        </Link>
      }
    >
      <Region query={query} skeleton={3}>
        {(d) => {
          if (!d.rows.length) return <div className="dim">{t('noRequests')}</div>;
          const most = d.rows.reduce((a, r) => (nanos(r.cost) > a ? nanos(r.cost) : a), 1n);
          return (
            <ul className={classes.bars}>
              {d.rows.map((r) => (
                <li key={groupName(r, by) || 'other'} className={classes.bar}>
                  {r.other ? (
                    <span className="dim">{t('others')}</span>
                  ) : (
                    <Link {...(to(groupName(r, by)) as { to: '/' })} className={`clip ${classes.plain}`}>
                      {groupName(r, by)}
                    </Link>
                  )}
                  <span aria-hidden className={classes.barTrack}>
                    <span className={classes.barFill} style={{ width: `${shareOf(nanos(r.cost), most) * 100}%` }} />
                  </span>
                  <span className="num">
                    {short(nanos(r.cost))} <span className="dim">{t('timesRequests', { n: count(r.requests) })}</span>
                  </span>
                </li>
              ))}
            </ul>
          );
        }}
      </Region>
    </Section>
  );
}
