import { useQuery } from '@connectrpc/connect-query';
import { type Endpoint, EndpointService } from '@/gen/tollgate/control/v1/endpoint_pb';
import { SecretService } from '@/gen/tollgate/control/v1/secret_pb';
import { Permission, useCaller } from '@/api/caller';
import { millis, span } from '@/lib/time';
import type { EndpointFacts, SecretFact } from './cause';

const reference = /\$\{secret:([^}]+)\}/g;
const usualTimeout = 600_000;

/** Where an endpoint sends which secret. */
export function secretsOf(e: Endpoint): { header: string; secret: string }[] {
  const out: { header: string; secret: string }[] = [];
  const add = (header: string, value: string) => {
    for (const m of value.matchAll(reference)) if (!out.some((o) => o.secret === m[1])) out.push({ header, secret: m[1]! });
  };
  for (const part of [e, ...e.credentials]) {
    for (const h of part.headers) add(h.name, h.value);
    for (const q of part.query) add(q.name, q.value);
  }
  if (e.awsSigning) for (const v of Object.values(e.awsSigning)) if (typeof v === 'string') add('Authorization', v);
  return out;
}

/** What is known of an endpoint that helps to say why a request to it failed. */
export function useEndpointFacts(name: string): { endpoint: Endpoint | undefined; facts: EndpointFacts | undefined } {
  const { may } = useCaller();
  const found = useQuery(EndpointService.method.getEndpoint, { endpoint: name }, { enabled: name !== '' && may(Permission.CONFIG_READ), retry: false });
  const endpoint = found.data?.endpoint;
  const used = endpoint ? secretsOf(endpoint) : [];
  const secrets = useQuery(SecretService.method.listSecrets, { pageSize: 1000 }, { enabled: used.length > 0 && may(Permission.SECRETS_READ) });
  if (!endpoint) return { endpoint, facts: undefined };
  return {
    endpoint,
    facts: {
      name: endpoint.name,
      path: endpoint.path,
      targets: endpoint.targets.map((t) => t.url),
      timeoutMs: span(endpoint.timeout) || usualTimeout,
      secrets: used.map((u): SecretFact => {
        const s = secrets.data?.secrets.find((x) => x.name === u.secret);
        return { ...u, version: Number(s?.version ?? 0n), updatedAt: millis(s?.updateTime) };
      }),
    },
  };
}
