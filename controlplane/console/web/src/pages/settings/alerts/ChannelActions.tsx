import { ActionIcon, Button, Group, Menu, Modal, Stack, Text, Tooltip } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconBell, IconBellOff, IconDots, IconKey, IconPencil, IconTrash } from '@tabler/icons-react';
import { useRef, useState } from 'react';
import { clientOf, refresh } from '@/api/client';
import { problemOf } from '@/api/errors';
import { Confirm } from '@/components/Confirm';
import { ShownOnce, useShownOnce } from '@/components/ShownOnce';
import { type AlertChannel, AlertChannelKind, AlertService } from '@/gen/tollgate/control/v1/alert_pb';
import { t } from '@/text/alerts';
import { t as shell } from '@/text/shell';
import { ChannelForm } from './ChannelForm';

const calls = clientOf(AlertService);

/** What can be done with one channel. */
export function ChannelActions({ channel: c }: { channel: AlertChannel }) {
  const [doing, setDoing] = useState<'edit' | 'secret' | 'remove'>();
  const close = () => setDoing(undefined);
  const turn = async () => {
    try {
      await calls.updateAlertChannel({ channel: { id: c.id, name: c.name, disabled: !c.disabled, etag: c.etag }, updateMask: { paths: ['disabled'] } });
      await refresh(AlertService);
    } catch (err) {
      notifications.show({ color: 'red', message: problemOf(err).message });
    }
  };
  return (
    <>
      <Menu>
        <Menu.Target>
          <Tooltip label={shell('more')}>
            <ActionIcon aria-label={t('actions', { name: c.name })}>
              <IconDots size={16} aria-hidden />
            </ActionIcon>
          </Tooltip>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item leftSection={<IconPencil size={16} aria-hidden />} onClick={() => setDoing('edit')}>
            {t('edit')}
          </Menu.Item>
          <Menu.Item leftSection={c.disabled ? <IconBell size={16} aria-hidden /> : <IconBellOff size={16} aria-hidden />} onClick={() => void turn()}>
            {t(c.disabled ? 'turnOn' : 'turnOff')}
          </Menu.Item>
          {c.kind === AlertChannelKind.WEBHOOK ? (
            <Menu.Item leftSection={<IconKey size={16} aria-hidden />} onClick={() => setDoing('secret')}>
              {t('newSecret')}
            </Menu.Item>
          ) : null}
          <Menu.Divider />
          <Menu.Item leftSection={<IconTrash size={16} aria-hidden />} className="bad" onClick={() => setDoing('remove')}>
            {t('remove')}
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {doing === 'edit' ? <ChannelForm channel={c} onClose={close} /> : null}
      {doing === 'secret' ? <NewSecret channel={c} onClose={close} /> : null}
      {doing === 'remove' ? (
        <Confirm
          title={t('removeTitle', { name: c.name })}
          action={t('remove')}
          onClose={close}
          run={async () => {
            await calls.deleteAlertChannel({ channel: c.id, etag: c.etag });
            await refresh(AlertService);
          }}
        >
          {t('removeText')}
        </Confirm>
      ) : null}
    </>
  );
}

function NewSecret({ channel: c, onClose }: { channel: AlertChannel; onClose: () => void }) {
  const [secret, setSecret] = useState('');
  const once = useShownOnce(!!secret, onClose);
  // The question closes once it is answered, and the answer stays.
  const made = useRef(false);
  if (!secret) {
    return (
      <Confirm
        title={t('newSecretTitle', { name: c.name })}
        action={t('newSecretAction')}
        danger={false}
        onClose={() => made.current || onClose()}
        run={async () => {
          const res = await calls.updateAlertChannel({ channel: { id: c.id, name: c.name, disabled: c.disabled, etag: c.etag }, updateMask: { paths: ['disabled'] }, newSigningSecret: true });
          made.current = true;
          setSecret(res.signingSecret);
          await refresh(AlertService);
        }}
      >
        {t('newSecretText')}
      </Confirm>
    );
  }
  return (
    <Modal opened onClose={once.close} size="lg" title={<Text fw={600} component="span">{t('secret', { name: c.name })}</Text>} closeButtonProps={{ 'aria-label': shell('close') }}>
      <Stack gap="md">
        <ShownOnce label={t('secret', { name: c.name })} text={t('secretText')} secrets={[{ name: '', value: secret }]} onTaken={once.taken} />
        <Group justify="flex-end">
          <Button variant="default" onClick={once.close}>
            {t('done')}
          </Button>
        </Group>
        {once.question}
      </Stack>
    </Modal>
  );
}
