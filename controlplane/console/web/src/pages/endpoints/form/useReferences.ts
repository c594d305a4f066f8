import { useQuery } from '@connectrpc/connect-query';
import { useMemo } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { fleet } from '@/api/live';
import { NodeStatus } from '@/gen/tollgate/control/v1/system_pb';
import { EndpointService } from '@/gen/tollgate/control/v1/endpoint_pb';
import { type Secret, SecretService } from '@/gen/tollgate/control/v1/secret_pb';
import { refs } from './value';

const all = { pageSize: 1000 };

/** Secrets by their names; undefined while they are not known, and for who may not see them. */
export function useSecrets(): Map<string, Secret> | undefined {
  const { may } = useCaller();
  const { data } = useQuery(SecretService.method.listSecrets, all, { enabled: may(Permission.SECRETS_READ), staleTime: 60_000 });
  return useMemo(() => data && new Map(data.secrets.map((s) => [s.name, s])), [data]);
}

export interface Variable {
  name: string;
  /** Edges that do not have it. */
  missing: string[];
  /** Edges that were heard. */
  total: number;
}

/** Environment variables that endpoints refer to. Edges tell of these, and of no others, whether they have them. */
export function useVariables(): Map<string, Variable> {
  const nodes = fleet.use()?.nodes;
  const { data } = useQuery(EndpointService.method.listEndpoints, all, { staleTime: 60_000 });
  return useMemo(() => {
    const heard = (nodes ?? []).filter((n) => n.status !== NodeStatus.SILENT);
    const out = new Map<string, Variable>();
    for (const e of data?.endpoints ?? []) {
      const values = [...e.headers, ...e.query, ...e.credentials.flatMap((c) => [...c.headers, ...c.query])].map((h) => h.value);
      for (const r of values.flatMap(refs)) {
        if (r.kind === 'env') out.set(r.name, { name: r.name, missing: heard.filter((n) => n.missingEnv.includes(r.name)).map((n) => n.id), total: heard.length });
      }
    }
    return out;
  }, [nodes, data]);
}
