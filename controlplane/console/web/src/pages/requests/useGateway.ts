import { useQuery } from '@connectrpc/connect-query';
import { fleet } from '@/api/live';
import { SystemService } from '@/gen/tollgate/control/v1/system_pb';

/** Where callers reach the gateway, as far as is known. */
export function useGateway(): string {
  const info = useQuery(SystemService.method.getInfo, {}, { staleTime: 60_000 });
  const edges = fleet.use();
  const told = info.data?.gatewayUrl || edges?.nodes.find((n) => n.advertised)?.advertised;
  return (told || 'https://gateway.example.com').replace(/\/$/, '');
}
