import { useMutation, useQuery } from '@connectrpc/connect-query';
import { Button, Group, Modal, PasswordInput, Stack, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useState } from 'react';
import { refresh } from '@/api/client';
import { problemOf } from '@/api/errors';
import { useOnline } from '@/app/Offline';
import { SecretService } from '@/gen/tollgate/control/v1/secret_pb';
import { t } from '@/text/requests';

/** Gives a secret a new value where its old one was just refused. */
export function ReplaceSecret({ name, close }: { name: string; close: () => void }) {
  const [value, setValue] = useState('');
  const [missing, setMissing] = useState(false);
  const found = useQuery(SecretService.method.getSecret, { secret: name });
  const online = useOnline();
  const rotate = useMutation(SecretService.method.rotateSecret, {
    onSuccess: () => {
      setValue('');
      notifications.show({ message: t('replaced', { name }) });
      void refresh(SecretService);
      close();
    },
  });
  const problem = rotate.error ? problemOf(rotate.error) : undefined;
  const used = found.data?.secret?.endpoints.length ?? 0;
  return (
    <Modal opened onClose={close} title={t('replaceTitle', { name })} closeButtonProps={{ 'aria-label': t('close') }}>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          setMissing(!value);
          if (value && online) rotate.mutate({ secret: name, value, etag: found.data?.secret?.etag ?? '' });
        }}
      >
        <Stack gap={12}>
          {used ? (
            <Text size="sm" className="dim">
              {t('replaceWhy', { n: used })}
            </Text>
          ) : null}
          <PasswordInput
            label={t('newValue')}
            data-autofocus
            autoComplete="off"
            value={value}
            error={missing && !value ? t('valueMissing') : problem ? `${problem.message} ${problem.hint}` : undefined}
            onChange={(e) => setValue(e.currentTarget.value)}
          />
          <Group justify="flex-end" gap={8}>
            <Button variant="default" onClick={close}>
              {t('cancel')}
            </Button>
            <Button type="submit" loading={rotate.isPending}>
              {t('save')}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
