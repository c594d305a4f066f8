import { Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { t } from '@/text/shell';
import { Failure } from './Region';

/** Asks before what cannot be taken back, with the effect in numbers. The name is typed only where there is traffic. */
export function Confirm({
  title,
  children,
  action,
  typed,
  danger = true,
  size,
  run,
  onClose,
}: {
  title: string;
  children?: ReactNode;
  /** The verb on the button: "Delete endpoint". */
  action: string;
  /** What has to be typed; nothing if empty. */
  typed?: string | undefined;
  danger?: boolean;
  /** Width, where there is more to show than a sentence. */
  size?: string;
  run: () => Promise<unknown>;
  onClose: () => void;
}) {
  const [text, setText] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const ready = !typed || text === typed;
  const go = async () => {
    setBusy(true);
    setError(undefined);
    try {
      await run();
      onClose();
    } catch (err) {
      setError(err);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Modal opened onClose={onClose} {...(size ? { size } : {})} title={<Text fw={600} component="span">{title}</Text>} closeButtonProps={{ 'aria-label': t('close') }}>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          if (ready) void go();
        }}
      >
        <Stack gap="sm">
          <Text size="sm" component="div">{children}</Text>
          {typed ? (
            <TextInput data-autofocus label={t('typeToConfirm', { name: typed })} value={text} onChange={(e) => setText(e.currentTarget.value)} autoComplete="off" />
          ) : null}
          {error ? <Failure error={error} /> : null}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>
              {t('cancel')}
            </Button>
            <Button type="submit" color={danger ? 'red.9' : undefined} loading={busy} disabled={!ready} data-autofocus={typed ? undefined : true}>
              {action}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
