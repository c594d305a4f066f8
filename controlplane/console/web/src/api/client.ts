// One query client and typed clients of streams.

import { createClient } from '@connectrpc/connect';
import { type QueryKey, QueryClient } from '@tanstack/react-query';
import { createConnectQueryKey } from '@connectrpc/connect-query';
import type { DescService } from '@bufbuild/protobuf';
import { problemOf } from './errors';
import { transport } from './transport';

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 15_000,
      gcTime: 5 * 60_000,
      retry: (failures, err) => problemOf(err).away && failures < 2,
      refetchOnWindowFocus: true,
      // The console decides itself whether the server can be reached.
      networkMode: 'always',
    },
    mutations: { networkMode: 'always', retry: false },
  },
});

export const clientOf = <S extends DescService>(service: S) => createClient(service, transport);

/** Reads again whatever was read of a service. */
export function refresh(...services: DescService[]): Promise<void> {
  const names = new Set(services.map((s) => s.typeName));
  return queryClient.invalidateQueries({ predicate: (q) => names.has(serviceOf(q.queryKey) ?? '') });
}

/** The service that a query asks. */
export const serviceOf = (key: QueryKey): string | undefined => (key[1] as { serviceName?: string } | undefined)?.serviceName;

export { createConnectQueryKey as keyOf };
