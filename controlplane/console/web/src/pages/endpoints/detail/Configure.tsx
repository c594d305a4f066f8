import { getRouteApi } from '@tanstack/react-router';
import type { Endpoint } from '@/gen/tollgate/control/v1/endpoint_pb';
import { EndpointForm } from '../form/EndpointForm';

const route = getRouteApi('/endpoints/$name/$tab');

/** Fields that an address may lead to. */
const places: Record<string, string[]> = {
  methods: ['methods'],
  target: ['targets[0].url'],
  headers: ['headers[0].name', 'headers'],
  price: ['price'],
  timeout: ['timeout'],
  body: ['max_body_bytes'],
};

/** What an endpoint is set to: the form that makes one. */
export default function Configure({ endpoint }: { endpoint: Endpoint }) {
  const navigate = route.useNavigate();
  const { sel } = route.useSearch();
  const saved = (now: Endpoint) => {
    if (now.name !== endpoint.name) void navigate({ to: '/endpoints/$name/$tab', params: { name: now.name, tab: 'configure' }, replace: true });
  };
  return <EndpointForm key={endpoint.id} endpoint={endpoint} onSaved={saved} focus={sel ? places[sel] : undefined} />;
}
