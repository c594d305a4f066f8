import { Tooltip } from '@mantine/core';
import type { Timestamp } from '@bufbuild/protobuf/wkt';
import { useNow } from '@/app/clock';
import { zone } from '@/app/preferences';
import { absolute, ago, clock, millis, moment } from '@/lib/time';
import { t } from '@/text/shell';

type Time = Timestamp | number | undefined;
const ms = (time: Time) => (typeof time === 'number' ? time : millis(time));

/** How long ago something was, exact on hover. */
export function When({ at, none = '–' }: { at: Time; none?: string }) {
  const now = useNow();
  const z = zone.use();
  const value = ms(at);
  if (value === undefined) return <span className="dim">{none}</span>;
  return (
    <Tooltip label={absolute(value, z)}>
      <time dateTime={new Date(value).toISOString()} style={{ whiteSpace: 'nowrap' }}>
        {ago(value, now)}
      </time>
    </Tooltip>
  );
}

/** A day and an hour, with the zone on hover. */
export function At({ at, none = '–' }: { at: Time; none?: string }) {
  const z = zone.use();
  const value = ms(at);
  if (value === undefined) return <span className="dim">{none}</span>;
  return (
    <Tooltip label={absolute(value, z)}>
      <time dateTime={new Date(value).toISOString()} style={{ whiteSpace: 'nowrap' }}>
        {moment(value, z)}
      </time>
    </Tooltip>
  );
}

/** From when a figure is. One that is older than half a minute says so without being asked. */
export function AsOf({ at }: { at: Time }) {
  const now = useNow();
  const z = zone.use();
  const value = ms(at);
  if (value === undefined) return null;
  const stale = now - value > 30_000;
  return (
    <span className={stale ? 'warn' : 'dim'} style={{ fontSize: 12, whiteSpace: 'nowrap' }}>
      <Tooltip label={absolute(value, z)}>
        <time dateTime={new Date(value).toISOString()}>{stale ? t('asOfStale', { time: clock(value, z), ago: ago(value, now) }) : t('asOf', { time: clock(value, z) })}</time>
      </Tooltip>
    </span>
  );
}
