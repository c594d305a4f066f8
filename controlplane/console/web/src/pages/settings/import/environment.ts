// Environment variables that a plan needs, and what is known of them on edges.

import type { ConfigChange } from '@/gen/tollgate/control/v1/config_pb';
import type { Node } from '@/gen/tollgate/control/v1/system_pb';

const reference = /\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}/g;

const namesIn = (text: string) => [...text.matchAll(reference)].map((m) => m[1]!);

/** Names that what a plan creates or changes refers to, in order. */
export const variablesOf = (changes: ConfigChange[]): string[] => [...new Set(changes.flatMap((c) => c.fields.flatMap((f) => namesIn(f.after))))].toSorted();

export type Known = { state: 'missing'; nodes: string[] } | { state: 'set'; n: number } | { state: 'unknown' } | { state: 'none' };

/**
 * What edges say of a variable. They tell of those that the configuration refers to and that they do not have, so that nothing
 * is known of a variable that it does not refer to yet, nor of an edge that does not serve the revision that does.
 */
export function known(name: string, nodes: Node[], referred: boolean, revision: bigint): Known {
  if (!nodes.length) return { state: 'none' };
  const missing = nodes.filter((n) => n.missingEnv.includes(name)).map((n) => n.id);
  if (missing.length) return { state: 'missing', nodes: missing };
  if (!referred || nodes.some((n) => n.revision < revision)) return { state: 'unknown' };
  return { state: 'set', n: nodes.length };
}

/** Whether a configuration as a file refers to a variable. */
export const refers = (file: string, name: string) => namesIn(file).includes(name);
