import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { useBlocker } from '@tanstack/react-router';
import { type ReactNode, useRef, useState } from 'react';
import type { Key } from '@/gen/tollgate/control/v1/key_pb';
import { t } from '@/text/access';
import { t as shell } from '@/text/shell';
import { copyText } from './clipboard';
import { ShownOnce } from './ShownOnce';

export interface Shown {
  made: Key;
  /** Empty where the server has none to tell. */
  secret: string;
  /** What did not go as it was asked, beside the key. */
  warning?: string | undefined;
}

/**
 * The secret of a key, the one time that it can be seen. It is in the state of the caller and goes with it. Who closes without
 * having copied it is asked, whatever way they leave; afterwards it closes without a word.
 */
export function useShownOnce(shown: Shown | undefined, onClose: () => void): { close: () => void; panel: ReactNode } {
  const [asking, setAsking] = useState(false);
  // Not a state: it has to hold in the moment in which the panel closes.
  const taken = useRef('');
  const open = () => !!shown?.secret && taken.current !== shown.secret;
  const leaving = useBlocker({ shouldBlockFn: open, enableBeforeUnload: open, withResolver: true });
  const finish = () => {
    taken.current = shown?.secret ?? '';
    setAsking(false);
    if (leaving.status === 'blocked') leaving.proceed();
    else onClose();
  };
  const close = () => (open() ? setAsking(true) : finish());
  return {
    close,
    panel: shown ? (
      <>
        <ShownOnce {...shown} onTaken={() => (taken.current = shown.secret)} onDone={close} />
        {asking || leaving.status === 'blocked' ? (
          <CloseWithout
            secret={shown.secret}
            onStay={() => {
              setAsking(false);
              if (leaving.status === 'blocked') leaving.reset();
            }}
            onClose={finish}
          />
        ) : null}
      </>
    ) : null,
  };
}

function CloseWithout({ secret, onStay, onClose }: { secret: string; onStay: () => void; onClose: () => void }) {
  return (
    <Modal opened onClose={onStay} zIndex={400} title={<Text fw={600} component="span">{t('closeWithout')}</Text>} closeButtonProps={{ 'aria-label': shell('close') }}>
      <Stack gap="sm">
        <Text size="sm">{t('closeWithoutText')}</Text>
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            {t('closeAnyway')}
          </Button>
          <Button data-autofocus onClick={() => void copyText(secret).then((done) => (done ? onClose() : onStay()))}>
            {t('copyAndClose')}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
