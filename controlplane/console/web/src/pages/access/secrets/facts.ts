// What is told of a secret.

import type { Secret } from '@/gen/tollgate/control/v1/secret_pb';
import { type Node, NodeStatus } from '@/gen/tollgate/control/v1/system_pb';
import { millis } from '@/lib/time';

export type Provider = 'stored' | 'env' | 'file' | 'vault';

/** Where the value is: with the control plane, or where each edge finds it. */
export function providerOf(s: { reference: string }): Provider {
  const kind = s.reference.split(':', 1)[0];
  return kind === 'env' || kind === 'file' || kind === 'vault' ? kind : 'stored';
}

const day = 86_400_000;

/** Whether a value is so old that it should be replaced. What edges find themselves is not known to be old. */
export const stale = (s: Secret, now: number) => !s.reference && now - (millis(s.updateTime) ?? now) > 90 * day;

export interface Resolves {
  live: number;
  total: number;
  /** Edges that cannot read it, and why. */
  missing: { node: string; error: string }[];
}

/** On how many of the edges that are heard a secret can be read; undefined without any. */
export function resolves(name: string, nodes: Node[] | undefined): Resolves | undefined {
  const heard = (nodes ?? []).filter((n) => n.status !== NodeStatus.SILENT);
  if (!heard.length) return undefined;
  const missing = heard.flatMap((n) => {
    const found = n.unresolvedSecrets.find((u) => u.secret === name);
    return found ? [{ node: n.id, error: found.error }] : [];
  });
  return { live: heard.length - missing.length, total: heard.length, missing };
}

/** Everything that refers to a secret. */
export const users = (s: Secret) => [...s.endpoints.map((name) => ({ kind: 'endpoint' as const, name })), ...s.models.map((name) => ({ kind: 'model' as const, name })), ...s.adapters.map((name) => ({ kind: 'adapter' as const, name }))];
