import { Button, Menu } from '@mantine/core';
import { IconCalendarStats, IconDownload, IconListDetails, IconTable } from '@tabler/icons-react';
import { t } from '@/text/usage';
import { exportUrl, type View } from './ask';
import classes from './Usage.module.css';

const kinds = [
  { id: 'view', title: t('exportView'), hint: t('exportViewHint'), icon: IconTable },
  { id: 'days', title: t('exportTimes'), hint: t('exportTimesHint'), icon: IconCalendarStats },
  { id: 'requests', title: t('exportRequests'), hint: t('exportRequestsHint'), icon: IconListDetails },
] as const;

/** What the page shows as a file. The browser fetches it, so it is streamed to the disk, shows how far it is, and can be stopped. */
export function ExportMenu({ view }: { view: View }) {
  return (
    <Menu>
      <Menu.Target>
        <Button variant="default" leftSection={<IconDownload size={14} aria-hidden />}>
          {t('export')}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        {kinds.map((k) => (
          <Menu.Item key={k.id} component="a" href={exportUrl(view, k.id)} download leftSection={<k.icon size={16} aria-hidden />}>
            {k.title}
            <div className={classes.hint}>{k.hint}</div>
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
