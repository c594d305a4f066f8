// What channels can be told of.

import { AlertChannelKind } from '@/gen/tollgate/control/v1/alert_pb';
import { AttentionKind } from '@/gen/tollgate/control/v1/overview_pb';
import { t } from '@/text/alerts';

type Word = 'BUDGET_EXHAUSTED' | 'BUDGET_AT_RISK' | 'BUDGET_WARNED' | 'EDGE_SILENT' | 'EDGE_BEHIND' | 'SPOOL_OLD' | 'BREAKER_OPEN' | 'SECRET_UNRESOLVED' | 'UNPRICED' | 'NO_PRICE' | 'KEY_EXPIRING' | 'DRIFT' | 'LEDGER_AWAY' | 'BUS_AWAY';

/** In the order in which they are offered: money, edges, configuration. */
export const events = [
  AttentionKind.BUDGET_WARNED, AttentionKind.BUDGET_AT_RISK, AttentionKind.BUDGET_EXHAUSTED, AttentionKind.UNPRICED, AttentionKind.NO_PRICE, AttentionKind.EDGE_SILENT, AttentionKind.EDGE_BEHIND,
  AttentionKind.BREAKER_OPEN, AttentionKind.SECRET_UNRESOLVED, AttentionKind.SPOOL_OLD, AttentionKind.LEDGER_AWAY, AttentionKind.BUS_AWAY, AttentionKind.KEY_EXPIRING, AttentionKind.DRIFT,
] as const;

/** What a new channel is told of, as the command line has it. */
export const usual: AttentionKind[] = [
  AttentionKind.BUDGET_WARNED, AttentionKind.BUDGET_EXHAUSTED, AttentionKind.EDGE_SILENT, AttentionKind.EDGE_BEHIND, AttentionKind.UNPRICED, AttentionKind.SPOOL_OLD, AttentionKind.BREAKER_OPEN,
  AttentionKind.SECRET_UNRESOLVED, AttentionKind.LEDGER_AWAY, AttentionKind.BUS_AWAY,
];

export const eventText = (kind: AttentionKind) => {
  const key = `kind_${AttentionKind[kind] as Word}` as const;
  return t.has(key) ? t(key) : '';
};

export const kindWord = (kind: AlertChannelKind): 'webhook' | 'slack' => (kind === AlertChannelKind.SLACK ? 'slack' : 'webhook');
