// Where what needs attention is mended, and which destination counts it.

import { AttentionKind, type AttentionItem } from '@/gen/tollgate/control/v1/overview_pb';

export interface Target {
  to: string;
  search?: Record<string, unknown>;
}

/** The page on which something is mended. */
export function targetOf(item: AttentionItem): Target {
  const name = encodeURIComponent(item.objectName || item.objectId);
  switch (item.kind) {
    case AttentionKind.BUDGET_EXHAUSTED:
    case AttentionKind.BUDGET_AT_RISK:
    case AttentionKind.BUDGET_WARNED:
      return { to: `/budgets/${item.objectId}`, search: { sel: 'raise' } };
    case AttentionKind.EDGE_SILENT:
    case AttentionKind.EDGE_BEHIND:
    case AttentionKind.SPOOL_OLD:
      return { to: `/edges/${name}` };
    case AttentionKind.BREAKER_OPEN:
      return item.objectKind === 'endpoint' ? { to: `/endpoints/${name}/overview` } : { to: '/edges' };
    case AttentionKind.SECRET_UNRESOLVED:
      return item.objectKind === 'secret' ? { to: `/secrets/${name}` } : { to: `/edges/${name}` };
    case AttentionKind.UNPRICED:
      return item.objectKind === 'endpoint' ? { to: `/endpoints/${name}/configure`, search: { sel: 'price' } } : { to: '/usage' };
    case AttentionKind.NO_PRICE:
      return { to: `/endpoints/${name}/configure`, search: { sel: 'price' } };
    case AttentionKind.KEY_EXPIRING:
      return { to: `/keys/${item.objectId}` };
    case AttentionKind.DRIFT:
      return { to: '/settings/import' };
    case AttentionKind.ALERT_FAILING:
      return { to: '/settings/alerts' };
    default:
      return { to: '/settings/about' };
  }
}

/** The destination in whose badge a kind is counted. */
export const countedAt: Partial<Record<AttentionKind, string>> = {
  [AttentionKind.BUDGET_EXHAUSTED]: '/budgets',
  [AttentionKind.BUDGET_AT_RISK]: '/budgets',
  [AttentionKind.EDGE_SILENT]: '/edges',
  [AttentionKind.EDGE_BEHIND]: '/edges',
  [AttentionKind.SPOOL_OLD]: '/edges',
  [AttentionKind.BREAKER_OPEN]: '/edges',
  [AttentionKind.UNPRICED]: '/endpoints',
  [AttentionKind.NO_PRICE]: '/endpoints',
};
