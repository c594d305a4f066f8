// How an edge is, from what was last heard of it and when, never from what it said of itself then.

import { type Node, NodeStatus } from '@/gen/tollgate/control/v1/system_pb';
import { millis } from '@/lib/time';

export type EdgeState = 'serving' | 'behind' | 'silent' | 'draining' | 'gone';

const goneAfter = 24 * 3_600_000;

/** The state of an edge at a time. */
export function stateOf(node: Node, now: number): EdgeState {
  const seen = millis(node.lastSeenTime);
  if (node.status === NodeStatus.SILENT) return seen !== undefined && now - seen > goneAfter ? 'gone' : 'silent';
  if (node.draining) return 'draining';
  return node.status === NodeStatus.BEHIND ? 'behind' : 'serving';
}

/** How many revisions an edge is behind. */
export const behindBy = (node: Node, newest: bigint) => (newest > node.revision ? newest - node.revision : 0n);

const order: EdgeState[] = ['silent', 'behind', 'draining', 'serving', 'gone'];

/** Edges, those that somebody should look at first. */
export function sorted(nodes: Node[], now: number): Node[] {
  return nodes.toSorted((a, b) => order.indexOf(stateOf(a, now)) - order.indexOf(stateOf(b, now)) || a.id.localeCompare(b.id, 'en', { numeric: true }));
}

/** Breakers and targets that are out of use. */
export const openTargets = (node: Node) => node.targets.filter((x) => x.state !== 'ok');
