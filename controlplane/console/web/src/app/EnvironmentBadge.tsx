import { useQuery } from '@connectrpc/connect-query';
import { SystemService } from '@/gen/tollgate/control/v1/system_pb';
import classes from './EnvironmentBadge.module.css';

/** Which deployment this is, so that production is not taken for another. */
export function EnvironmentBadge() {
  const { data } = useQuery(SystemService.method.getInfo, {}, { staleTime: 60_000 });
  if (!data?.environment) return null;
  return (
    <span className={classes.badge} data-color={data.environmentColor || (/^prod/i.test(data.environment) ? 'red' : 'gray')}>
      {data.environment}
    </span>
  );
}
