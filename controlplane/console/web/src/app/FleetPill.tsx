import { Tooltip } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { fleet } from '@/api/live';
import { NodeStatus } from '@/gen/tollgate/control/v1/system_pb';
import { useNow } from '@/app/clock';
import { ago } from '@/lib/time';
import { t } from '@/text/shell';
import classes from './FleetPill.module.css';

/** How the fleet is, everywhere in the console. */
export function FleetPill() {
  const f = fleet.use();
  const now = useNow();
  if (!f) return null;
  const counted = f.nodes.filter((n) => n.status !== NodeStatus.SILENT);
  const live = f.nodes.filter((n) => n.status === NodeStatus.LIVE).length;
  const wrong = f.nodes.length - live;
  const tone = f.nodes.length === 0 ? 'bad' : wrong ? 'warn' : 'ok';
  const text =
    f.nodes.length === 0
      ? t('noEdges')
      : counted.length > live
        ? t('fleetBehind', { live, total: f.nodes.length, behind: counted.length - live })
        : t('fleet', { live, total: f.nodes.length, revision: String(f.revision) });
  return (
    <Tooltip label={t('asOfStale', { time: new Date(f.receivedAt).toISOString().slice(11, 19), ago: ago(f.receivedAt, now) })}>
      <Link to="/edges" className={classes.pill} data-tone={tone}>
        <span aria-hidden className={classes.sign}>
          {tone === 'ok' ? '●' : tone === 'warn' ? '▲' : '■'}
        </span>
        <span className={classes.text}>{text}</span>
      </Link>
    </Tooltip>
  );
}
