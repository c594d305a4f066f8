import { Drawer, Stack, Text } from '@mantine/core';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { useState } from 'react';
import { clientOf } from '@/api/client';
import { type Key, KeyService } from '@/gen/tollgate/control/v1/key_pb';
import { t } from '@/text/access';
import { t as shell } from '@/text/shell';
import { KeySecrets } from '../key/KeySecrets';
import { Buttons, useSubmit, Wrong } from '../submit';
import { anyway, OverlapFields, overlapOf, refreshKeys } from './actions';
import { type Shown, useShownOnce } from './useShownOnce';

/** Gives a key a new secret, which is then shown once, and lets the old one go on for a while. */
export function RotateKey({ of: k, onClose }: { of: Key; onClose: () => void }) {
  const [shown, setShown] = useState<Shown>();
  const once = useShownOnce(shown, onClose);
  return (
    <Drawer opened onClose={shown ? once.close : onClose} size="min(560px, 100vw)" title={<Text fw={600} component="span">{t(shown ? 'rotated' : 'rotateTitle', { name: k.name })}</Text>} closeButtonProps={{ 'aria-label': shell('close') }}>
      {shown ? (
        <Stack gap="md">
          {once.panel}
          {/* Who replaces a secret wants to see that its callers have moved, and then ends the old one. */}
          {shown.made.overlapEndTime ? <KeySecrets of={shown.made} mayWrite /> : null}
        </Stack>
      ) : (
        <Form of={k} onClose={onClose} onMade={setShown} />
      )}
    </Drawer>
  );
}

function Form({ of: k, onClose, onMade }: { of: Key; onClose: () => void; onMade: (shown: Shown) => void }) {
  const [choice, setChoice] = useState('24h');
  const [days, setDays] = useState('14');
  const submit = useSubmit(['overlap']);
  const go = () => {
    const ms = overlapOf(choice, days);
    return submit.send(
      async () => {
        const answer = await clientOf(KeyService).rotateKey({ key: k.id, overlap: durationFromMs(ms!), etag: k.etag }, anyway(k));
        void refreshKeys();
        onMade({ made: answer.key!, secret: answer.secret });
      },
      ms === undefined ? [{ field: 'overlap', code: 'range', text: t('overlapRange') }] : [],
    );
  };
  return (
    <form ref={submit.form} noValidate onKeyDown={submit.onKeyDown} onSubmit={(e) => (e.preventDefault(), void go())}>
      <Stack gap="sm">
        <Wrong of={submit} fields={['overlap']} />
        <Text size="sm">{t('rotateText')}</Text>
        {k.managedBy ? <Text size="sm" className="warn">{shell('managedBy', { file: k.managedBy })}</Text> : null}
        <OverlapFields
          choice={choice}
          days={days}
          error={submit.at('overlap')}
          set={(c, d) => {
            setChoice(c);
            setDays(d);
          }}
        />
        <Buttons of={submit} action={t('rotateAction')} onClose={onClose} />
      </Stack>
    </form>
  );
}
