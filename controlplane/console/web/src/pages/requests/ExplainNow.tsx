import { useQuery } from '@connectrpc/connect-query';
import { Region } from '@/components/Region';
import { ExplainService } from '@/gen/tollgate/control/v1/explain_pb';
import { TraceView } from './try/TraceView';

/** What a live edge would do with a request of this method, path and key. */
export function ExplainNow({ method, path, keyName, edge }: { method: string; path: string; keyName: string; edge: string }) {
  const told = useQuery(ExplainService.method.explain, { method, path, key: keyName, edge }, { retry: false });
  return (
    <Region query={told} skeleton={4}>
      {({ explanation }) => (explanation ? <TraceView explanation={explanation} /> : null)}
    </Region>
  );
}
