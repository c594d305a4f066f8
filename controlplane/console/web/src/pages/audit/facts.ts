// What is told of an entry, and where what it is about is found.

import type { AuditEntry } from '@/gen/tollgate/control/v1/audit_pb';
import { t } from '@/text/audit';

const ways = ['console', 'cli', 'api', 'file', 'litellm', 'system'] as const;

/** By what something was done. */
export function viaText(via: string): string {
  const known = ways.find((w) => w === via);
  return known ? t(`via_${known}`) : via;
}

export const wayOptions = ways.map((value) => ({ value, label: viaText(value) }));

/** The kinds that entries are about. */
export const kindOptions = [
  'endpoint', 'model', 'adapter', 'price_book', 'key', 'team', 'member', 'customer', 'tag', 'secret', 'budget', 'limit', 'settings', 'alert', 'person', 'token', 'edge', 'config',
] as const;

/** A word as people read it. */
export const plain = (word: string) => word.replaceAll('_', ' ');

/** The page of what an entry is about; undefined where it has none. */
export function pageOf(e: Pick<AuditEntry, 'kind' | 'objectId' | 'objectName' | 'action'>): string | undefined {
  if (e.action === 'delete') return undefined;
  const name = encodeURIComponent(e.objectName);
  const id = encodeURIComponent(e.objectId);
  switch (e.kind) {
    case 'endpoint':
      return `/endpoints/${name}/overview`;
    case 'key':
      return `/keys/${id}`;
    case 'team':
      return `/teams/${name}`;
    case 'secret':
      return `/secrets/${name}`;
    case 'budget':
      return `/budgets/${id}`;
    case 'edge':
      return `/edges/${name}`;
    case 'settings':
      return '/settings/general';
    case 'alert':
      return '/settings/alerts';
    case 'person':
      return '/settings/access';
    case 'token':
      return '/settings/tokens';
    default:
      return undefined;
  }
}

export interface Selection {
  q?: string | undefined;
  kind?: string | undefined;
  via?: string | undefined;
  actor?: string | undefined;
  object?: string | undefined;
}

const quoted = (value: string) => (/[\s",]/.test(value) ? `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"` : value);

/** The filter of the list, in the language that the command line has as well. */
export function filterOf(s: Selection): string {
  const field = (name: 'kind' | 'via' | 'actor' | 'object') => (s[name] ? `${name}:${quoted(s[name])}` : '');
  return [s.q?.trim(), field('kind'), field('via'), field('actor'), field('object')].filter(Boolean).join(' ');
}

export type Undo = { can: 'revert'; to: bigint; since: number } | { can: 'restore'; to: bigint } | { can: 'no'; why: 'kind' | 'create' | 'before' | 'read' };

const changing = new Set(['update', 'enable', 'disable', 'revert', 'delete']);

/**
 * Whether what an entry did can be undone, and by which revision of the endpoint: the one before it. What came after it is
 * undone with it.
 */
export function undoOf(e: AuditEntry, revisions: { revision: bigint; revertible: boolean }[]): Undo {
  if (e.kind !== 'endpoint') return { can: 'no', why: 'kind' };
  if (e.action === 'create') return { can: 'no', why: 'create' };
  if (!changing.has(e.action)) return { can: 'no', why: 'read' };
  const before = revisions.filter((r) => r.revision < e.revision && r.revertible).reduce<bigint>((most, r) => (r.revision > most ? r.revision : most), 0n);
  if (!before) return { can: 'no', why: 'before' };
  if (e.action === 'delete') return { can: 'restore', to: before };
  return { can: 'revert', to: before, since: revisions.filter((r) => r.revision > e.revision).length };
}
