import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { useBlocker } from '@tanstack/react-router';
import { IconCheck, IconCopy, IconDownload } from '@tabler/icons-react';
import { type ReactNode, useRef, useState } from 'react';
import { copyText } from '@/pages/access/keys/clipboard';
import { download } from '@/pages/access/keys/facts';
import { t } from '@/text/once';
import { t as shell } from '@/text/shell';
import classes from './ShownOnce.module.css';
import { Status } from './Status';

export interface Secret {
  /** What it is called; empty where there is but one. */
  name: string;
  value: string;
}

/**
 * Keeps somebody from leaving what is shown once without having taken it, whatever way they leave. The caller keeps the secret
 * in its state, and calls `taken` when it was copied or downloaded.
 */
export function useShownOnce(open: boolean, onClose: () => void): { close: () => void; taken: () => void; question: ReactNode } {
  const [asking, setAsking] = useState(false);
  // Not a state: it has to hold in the moment in which the panel closes.
  const taken = useRef(false);
  const untaken = () => open && !taken.current;
  const leaving = useBlocker({ shouldBlockFn: untaken, enableBeforeUnload: untaken, withResolver: true });
  const stay = () => {
    setAsking(false);
    if (leaving.status === 'blocked') leaving.reset();
  };
  const leave = () => {
    taken.current = true;
    setAsking(false);
    if (leaving.status === 'blocked') leaving.proceed();
    else onClose();
  };
  return {
    close: () => (untaken() ? setAsking(true) : onClose()),
    taken: () => {
      taken.current = true;
    },
    question:
      asking || leaving.status === 'blocked' ? (
        <Modal opened onClose={stay} zIndex={400} title={<Text fw={600} component="span">{t('leave')}</Text>} closeButtonProps={{ 'aria-label': shell('close') }}>
          <Stack gap="sm">
            <Text size="sm">{t('leaveText')}</Text>
            <Group justify="flex-end" gap="xs">
              <Button variant="default" onClick={leave}>
                {t('leaveAnyway')}
              </Button>
              <Button data-autofocus onClick={stay}>
                {t('stay')}
              </Button>
            </Group>
          </Stack>
        </Modal>
      ) : null,
  };
}

/** Secrets that cannot be read again, each with a button that copies it. */
export function ShownOnce({ label, text, secrets, file, onTaken }: { label: string; text: ReactNode; secrets: Secret[]; file?: { name: string; text: string; label: string }; onTaken: () => void }) {
  return (
    <section className={classes.panel} aria-label={label}>
      <Status tone="warn">{text}</Status>
      <ul className={classes.list}>
        {secrets.map((s) => (
          <One key={s.name} secret={s} label={label} onTaken={onTaken} />
        ))}
      </ul>
      {file ? (
        <div>
          <Button
            variant="default"
            leftSection={<IconDownload size={14} aria-hidden />}
            onClick={() => {
              download(file.name, file.text);
              onTaken();
            }}
          >
            {file.label}
          </Button>
        </div>
      ) : null}
    </section>
  );
}

function One({ secret, label, onTaken }: { secret: Secret; label: string; onTaken: () => void }) {
  const [state, setState] = useState<'copied' | 'failed'>();
  return (
    <li className={classes.one}>
      {secret.name ? <span className={classes.name}>{secret.name}</span> : null}
      <output className={`mono ${classes.value}`} aria-label={secret.name || label} onCopy={onTaken}>
        {secret.value}
      </output>
      <Button
        aria-label={secret.name ? t('copyOf', { name: secret.name }) : undefined}
        leftSection={state === 'copied' ? <IconCheck size={14} aria-hidden /> : <IconCopy size={14} aria-hidden />}
        onClick={() =>
          void copyText(secret.value).then((done) => {
            setState(done ? 'copied' : 'failed');
            if (done) onTaken();
          })
        }
      >
        {t(state === 'copied' ? 'copied' : 'copy')}
      </Button>
      {state === 'failed' ? (
        <span role="status" className={`warn ${classes.name}`}>
          {t('copyFailed')}
        </span>
      ) : null}
    </li>
  );
}
