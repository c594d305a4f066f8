import { Status, type Tone } from '@/components/Status';
import type { Node } from '@/gen/tollgate/control/v1/system_pb';
import { ago, millis } from '@/lib/time';
import { t } from '@/text/edges';
import { type EdgeState, stateOf } from './state';

const tones: Record<EdgeState, Tone> = { serving: 'ok', behind: 'warn', silent: 'bad', draining: 'info', gone: 'off' };

/** How an edge is, in a word; of a silent one, since when. */
export function EdgeStatus({ node, now }: { node: Node; now: number }) {
  const state = stateOf(node, now);
  const hint = state === 'silent' || state === 'gone' ? t('silentHint', { ago: ago(millis(node.lastSeenTime) ?? now, now), revision: String(node.revision) }) : undefined;
  return (
    <Status tone={tones[state]} hint={hint}>
      {t(state)}
    </Status>
  );
}
