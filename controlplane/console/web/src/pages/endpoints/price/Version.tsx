import { useQuery } from '@connectrpc/connect-query';
import { Link } from '@tanstack/react-router';
import { At } from '@/components/When';
import { type Endpoint, type EndpointRevision, EndpointService } from '@/gen/tollgate/control/v1/endpoint_pb';
import { t } from '@/text/price';
import classes from './PriceEditor.module.css';

/** The newest revision that changed the price, of those given. */
export const pricedBy = (revisions: EndpointRevision[]): EndpointRevision | undefined =>
  revisions.find((r) => r.action === 'create' || r.changes.some((c) => c.path === 'price' || c.path.startsWith('price.') || c.path.startsWith('price[')));

/** Since when the price that is stored holds. */
export function Version({ endpoint }: { endpoint: Endpoint }) {
  const { data } = useQuery(EndpointService.method.listEndpointRevisions, { endpoint: endpoint.id, pageSize: 200 });
  const since = data && pricedBy(data.revisions);
  if (!since) return null;
  return (
    <div className={classes.version}>
      {t.rich('version', { revision: String(since.revision), time: <At key="at" at={since.time} /> })}{' '}
      <Link to="/endpoints/$name/$tab" params={{ name: endpoint.name, tab: 'history' }} search={{ sel: String(since.revision) } as never}>
        {t('versionHistory')}
      </Link>
    </div>
  );
}
