import { useQuery } from '@connectrpc/connect-query';
import { Permission, useCaller } from '@/api/caller';
import { fleet } from '@/api/live';
import { Status } from '@/components/Status';
import { type ConfigChange, ConfigService } from '@/gen/tollgate/control/v1/config_pb';
import { NodeStatus } from '@/gen/tollgate/control/v1/system_pb';
import { list } from '@/lib/text';
import { t } from '@/text/import';
import classes from '../Settings.module.css';
import { type Known, known, refers, variablesOf } from './environment';

/** The environment variables that a plan needs, and which edges have them. */
export function Environment({ changes, revision, applied }: { changes: ConfigChange[]; revision: bigint; applied: boolean }) {
  const { may } = useCaller();
  const names = variablesOf(changes);
  const nodes = (fleet.use()?.nodes ?? []).filter((n) => n.status !== NodeStatus.SILENT);
  const now = useQuery(ConfigService.method.export, {}, { enabled: names.length > 0 && !applied && may(Permission.CONFIG_READ) });
  if (!names.length) return null;
  const file = now.data ? new TextDecoder().decode(now.data.text) : '';
  return (
    <section aria-label={t('env')}>
      <h3 style={{ margin: '0 0 4px', fontSize: 13 }}>{t('env')}</h3>
      <p className={classes.text}>{t('envText')}</p>
      <ul className={classes.env}>
        {names.map((name) => (
          <li key={name}>
            <span className="mono">{name}</span>
            <Said known={known(name, nodes, applied || refers(file, name), applied ? revision : 0n)} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function Said({ known: k }: { known: Known }) {
  switch (k.state) {
    case 'missing':
      return <Status tone="warn">{t('envMissing', { nodes: list(k.nodes) })}</Status>;
    case 'set':
      return <Status tone="ok">{t('envSet', { n: k.n })}</Status>;
    case 'none':
      return <Status tone="off">{t('envNoEdges')}</Status>;
    default:
      return <Status tone="off">{t('envUnknown')}</Status>;
  }
}
