import { useQuery as useTanstackQuery } from '@tanstack/react-query';
import { clientOf, refresh } from '@/api/client';
import { problemOf } from '@/api/errors';
import { dryRun, override } from '@/api/transport';
import { Changes } from '@/components/Changes';
import { Confirm } from '@/components/Confirm';
import { Lines, Soon } from '@/components/Region';
import { type Endpoint, type EndpointRevision, EndpointService } from '@/gen/tollgate/control/v1/endpoint_pb';
import { t } from '@/text/endpoints';
import { t as shell } from '@/text/shell';
import classes from '../EndpointPage.module.css';
import { between } from './between';

const calls = clientOf(EndpointService);

/** Asks before an endpoint becomes what it was, with what would change now and what the server thinks of that. */
export function Revert({ endpoint, revision, onClose, onDone }: { endpoint: Endpoint; revision: EndpointRevision; onClose: () => void; onDone?: () => void }) {
  const number = String(revision.revision);
  const headers = endpoint.managedBy ? override : {};
  const ask = { endpoint: endpoint.id, revision: revision.revision, etag: endpoint.etag };
  // The same call with nothing stored: what comes back is the endpoint as it would be.
  const effect = useTanstackQuery({
    queryKey: ['revert', endpoint.id, endpoint.etag, number],
    queryFn: async () => {
      const { endpoint: then } = await calls.revertEndpoint(ask, { headers: { ...headers, ...dryRun } });
      const preview = await calls.previewEndpoint({ endpoint: then! });
      return {
        changes: between(endpoint, then!),
        // What is to be known of it now too is no effect.
        warnings: preview.warnings.filter((w) => !endpoint.warnings.some((now) => now.code === w.code && now.text === w.message)),
      };
    },
    retry: false,
    staleTime: 0,
  });
  return (
    <Confirm
      title={t('revertTitle', { name: endpoint.name, revision: number })}
      action={t('revertAction', { revision: number })}
      danger={false}
      size="lg"
      onClose={onClose}
      run={async () => {
        await calls.revertEndpoint(ask, { headers });
        await refresh(EndpointService);
        onDone?.();
      }}
    >
      <div className={classes.panel}>
        <span>
          {t('revertText')} {endpoint.managedBy ? shell('managedBy', { file: endpoint.managedBy }) : null}
        </span>
        {effect.isPending ? (
          <Soon>
            <Lines n={3} />
          </Soon>
        ) : effect.error ? (
          <span className="bad">{t('revertRefused', { message: problemOf(effect.error).message })}</span>
        ) : effect.data.changes.length === 0 ? (
          <span>{t('revertNothing')}</span>
        ) : (
          <>
            <Changes changes={effect.data.changes} label={t('revertEffects')} />
            {effect.data.warnings.length ? (
              <ul className={classes.noteList}>
                {effect.data.warnings.map((w) => (
                  <li key={w.field + w.code}>{w.message}</li>
                ))}
              </ul>
            ) : null}
          </>
        )}
      </div>
    </Confirm>
  );
}
