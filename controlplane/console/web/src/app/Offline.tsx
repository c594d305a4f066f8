import { Button, Group } from '@mantine/core';
import { connection, retry } from '@/api/live';
import { t } from '@/text/shell';
import { useNow } from './clock';
import classes from './Offline.module.css';

/** Says that the control plane does not answer, and that traffic does not depend on it. */
export function Offline() {
  const c = connection.use();
  const now = useNow();
  if (c.online) return null;
  const s = Math.max(0, Math.ceil((c.retryAt - now) / 1000));
  return (
    <Group role="alert" className={classes.banner} gap="sm">
      <span aria-hidden>▲</span>
      <span className={classes.text}>{c.revision > 0n ? t('offline', { revision: String(c.revision), s }) : t('offlineUnknown', { s })}</span>
      <Button size="compact-xs" variant="default" onClick={retry}>
        {t('retryNow')}
      </Button>
    </Group>
  );
}

/** Whether changes can be sent now. */
export const useOnline = () => connection.use().online;
