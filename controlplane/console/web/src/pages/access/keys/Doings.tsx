import type { Figures } from '../useFigures';
import { BlockKey, ExtendKeys, MoveKeys, RevokeKeys } from './actions';
import { RotateKey } from './RotateKey';
import type { Doing } from './RowMenu';

/** The dialog of what is being done to keys. */
export function Doings({ doing, figures, onClose, onDone }: { doing: Doing | undefined; figures: Figures; onClose: () => void; onDone?: () => void }) {
  if (!doing) return null;
  const { kind, keys } = doing;
  const told = keys.map((k) => figures.of(k.id)?.requests);
  const requests = told.some((n) => n === undefined) ? undefined : told.reduce<bigint>((sum, n) => sum + n!, 0n);
  switch (kind) {
    case 'rotate':
      return <RotateKey of={keys[0]!} onClose={onClose} />;
    case 'block':
      return <BlockKey of={keys[0]!} requests={requests} onClose={onClose} />;
    case 'revoke':
      return <RevokeKeys of={keys} requests={requests} onClose={onClose} onDone={onDone ?? (() => undefined)} />;
    case 'extend':
      return <ExtendKeys of={keys} onClose={onClose} />;
    case 'move':
      return <MoveKeys of={keys} onClose={onClose} />;
  }
}
