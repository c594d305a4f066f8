import type { Endpoint } from '@/gen/tollgate/control/v1/endpoint_pb';
import { RequestList } from '@/pages/requests/RequestList';

/** The requests of one endpoint. */
export default function Requests({ endpoint }: { endpoint: Endpoint }) {
  return <RequestList filter={{ endpoint: [endpoint.name] }} height={640} />;
}
