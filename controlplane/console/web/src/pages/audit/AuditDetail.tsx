import { toJson } from '@bufbuild/protobuf';
import { useQuery } from '@connectrpc/connect-query';
import { Link } from '@tanstack/react-router';
import { Changes } from '@/components/Changes';
import { CopyText } from '@/components/CopyText';
import { Region } from '@/components/Region';
import { Chip } from '@/components/Status';
import { At, When } from '@/components/When';
import { type AuditEntry, AuditEntrySchema, AuditService } from '@/gen/tollgate/control/v1/audit_pb';
import { millis } from '@/lib/time';
import { t } from '@/text/audit';
import classes from './Audit.module.css';
import { pageOf, plain, viaText } from './facts';
import { Undo } from './Undo';

/** All that is known of one entry. */
export function AuditDetail({ id }: { id: string }) {
  const query = useQuery(AuditService.method.getAuditEntry, { entry: id }, { staleTime: Infinity });
  return <Region query={query}>{(d) => (d.entry ? <Entry entry={d.entry} /> : null)}</Region>;
}

function Entry({ entry: e }: { entry: AuditEntry }) {
  const page = pageOf(e);
  return (
    <div className={classes.detail}>
      <div className={classes.head}>
        <span>{plain(e.action)}</span>
        <span className="dim">{plain(e.kind)}</span>
        {page ? <Link to={page}>{e.objectName || e.objectId}</Link> : <span>{e.objectName || e.objectId}</span>}
      </div>
      <dl className={classes.facts}>
        <dt>{t('when')}</dt>
        <dd>
          <At at={e.time} /> <span className="dim"><When at={e.time} /></span>
        </dd>
        <dt>{t('who')}</dt>
        <dd>
          {e.actor} <Chip>{viaText(e.via)}</Chip>
        </dd>
        {e.address ? (
          <>
            <dt>{t('address')}</dt>
            <dd className="mono">{e.address}</dd>
          </>
        ) : null}
        {e.revision ? (
          <>
            <dt>{t('revision')}</dt>
            <dd className="num" style={{ textAlign: 'left' }}>{String(e.revision)}</dd>
          </>
        ) : null}
        {e.requestId ? (
          <>
            <dt>{t('request')}</dt>
            <dd>
              <CopyText value={e.requestId} />
            </dd>
          </>
        ) : null}
      </dl>
      <div className={classes.part}>
        <h3>{t('what')}</h3>
        {e.changes.length ? <Changes changes={e.changes} label={t('what')} /> : <span className="dim">{e.summary || t('noFields')}</span>}
      </div>
      <Undo entry={e} />
      <section className={classes.part} aria-label={t('related')}>
        <h3>{t('related')}</h3>
        <Related entry={e} />
      </section>
      <details className={`${classes.part} dim`}>
        <summary>{t('raw')}</summary>
        <pre className={`mono ${classes.raw}`} tabIndex={0}>
          {JSON.stringify(toJson(AuditEntrySchema, e), null, 2)}
        </pre>
      </details>
    </div>
  );
}

function Related({ entry: e }: { entry: AuditEntry }) {
  const at = millis(e.time);
  const iso = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`;
  return (
    <ul className={classes.links}>
      {e.objectName || e.objectId ? (
        <li>
          <Link to="/audit" search={{ object: e.objectId || e.objectName }}>{t('relatedObject', { name: e.objectName || e.objectId })}</Link>
        </li>
      ) : null}
      <li>
        <Link to="/audit" search={{ actor: e.actor }}>{t('relatedActor', { actor: e.actor })}</Link>
      </li>
      {e.requestId ? (
        <li>
          <Link to="/audit" search={{ q: `request_id:${e.requestId}` }}>{t('relatedCall')}</Link>
        </li>
      ) : null}
      {e.kind === 'endpoint' && at !== undefined ? (
        <li>
          <Link to="/requests" search={{ endpoint: [e.objectName], from: iso(at - 1_800_000), to: iso(at + 1_800_000) }}>{t('relatedRequests', { name: e.objectName })}</Link>
        </li>
      ) : null}
    </ul>
  );
}
