import { Button } from '@mantine/core';
import { useQuery } from '@connectrpc/connect-query';
import { IconHistory } from '@tabler/icons-react';
import { useState } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { clientOf, refresh } from '@/api/client';
import { useOnline } from '@/app/Offline';
import { Confirm } from '@/components/Confirm';
import type { AuditEntry } from '@/gen/tollgate/control/v1/audit_pb';
import { AuditService } from '@/gen/tollgate/control/v1/audit_pb';
import { EndpointService } from '@/gen/tollgate/control/v1/endpoint_pb';
import { Revert } from '@/pages/endpoints/detail/Revert';
import { t } from '@/text/audit';
import { t as settings } from '@/text/settings';
import classes from './Audit.module.css';
import { undoOf } from './facts';

const calls = clientOf(EndpointService);

/** The way back from what an entry did, or why there is none. */
export function Undo({ entry: e }: { entry: AuditEntry }) {
  const { may } = useCaller();
  const online = useOnline();
  const [asking, setAsking] = useState(false);
  const endpointEntry = e.kind === 'endpoint' && e.action !== 'create' && may(Permission.CONFIG_READ);
  const revisions = useQuery(EndpointService.method.listEndpointRevisions, { endpoint: e.objectId, pageSize: 1000 }, { enabled: endpointEntry, retry: false });
  const now = useQuery(EndpointService.method.getEndpoint, { endpoint: e.objectId }, { enabled: endpointEntry && e.action !== 'delete', retry: false });
  if (endpointEntry && (revisions.isPending || (e.action !== 'delete' && now.isPending))) return null;
  const undo = undoOf(e, revisions.data?.revisions ?? []);
  if (undo.can === 'no') {
    const why = { kind: 'cannotKind', create: 'cannotCreate', before: 'cannotBefore', read: 'cannotRead' } as const;
    return <span className="dim">{t(why[undo.why])}</span>;
  }
  if (!may(Permission.CONFIG_WRITE)) return <span className="dim">{t('cannotRight')}</span>;
  if (undo.can === 'revert' && !now.data?.endpoint) return <span className="dim">{t('cannotGone')}</span>;
  const target = revisions.data?.revisions.find((r) => r.revision === undo.to);
  const close = () => setAsking(false);
  return (
    <div className={classes.revert}>
      <Button variant="default" leftSection={<IconHistory size={14} aria-hidden />} disabled={!online} title={online ? undefined : settings('offline')} onClick={() => setAsking(true)}>
        {t(undo.can === 'restore' ? 'restore' : 'revert')}
      </Button>
      {undo.can === 'revert' && undo.since > 0 ? <span className="dim">{t('revertAlso', { n: undo.since })}</span> : null}
      {asking && undo.can === 'revert' && now.data?.endpoint && target ? (
        <Revert endpoint={now.data.endpoint} revision={target} onClose={close} onDone={() => void refresh(AuditService)} />
      ) : null}
      {asking && undo.can === 'restore' ? (
        <Confirm
          title={t('restoreTitle', { name: e.objectName })}
          action={t('restoreAction', { revision: String(undo.to) })}
          danger={false}
          onClose={close}
          run={async () => {
            await calls.revertEndpoint({ endpoint: e.objectId, revision: undo.to });
            await refresh(EndpointService, AuditService);
          }}
        >
          {t('restoreText', { revision: String(undo.to) })}
        </Confirm>
      ) : null}
    </div>
  );
}
