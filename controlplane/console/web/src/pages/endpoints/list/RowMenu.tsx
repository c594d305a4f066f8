import { ActionIcon, Menu } from '@mantine/core';
import { useClipboard } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import { IconCopyPlus, IconDots, IconFileText, IconLink, IconPencil, IconPlayerPlay, IconPower, IconTerminal2, IconTrash } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { Permission, useCaller } from '@/api/caller';
import { connection } from '@/api/live';
import { basePath } from '@/boot';
import type { Endpoint } from '@/gen/tollgate/control/v1/endpoint_pb';
import { t } from '@/text/endpoints';
import { t as shell } from '@/text/shell';
import { setEnabled, yamlOf } from '../actions';

/** What can be done to an endpoint of a list. */
export function RowMenu({ endpoint, onDelete }: { endpoint: Endpoint; onDelete: () => void }) {
  const { may } = useCaller();
  const clipboard = useClipboard();
  const { online } = connection.use();
  const copy = async (what: string, text: string | Promise<string>) => {
    clipboard.copy(await text);
    notifications.show({ message: shell('copiedAs', { what }), autoClose: 1500 });
  };
  const { name } = endpoint;
  const write = may(Permission.CONFIG_WRITE);
  return (
    <Menu>
      <Menu.Target>
        <ActionIcon size={24} aria-label={t('actions', { name })} onClick={(e) => e.stopPropagation()}>
          <IconDots size={16} aria-hidden />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown onClick={(e) => e.stopPropagation()}>
        <Menu.Item leftSection={<IconPlayerPlay size={16} aria-hidden />} component={Link} to="/endpoints/$name/$tab" params={{ name, tab: 'try' } as never}>
          {t('try')}
        </Menu.Item>
        {write ? (
          <>
            <Menu.Item leftSection={<IconPencil size={16} aria-hidden />} component={Link} to="/endpoints/$name/$tab" params={{ name, tab: 'configure' } as never}>
              {t('edit')}
            </Menu.Item>
            <Menu.Item leftSection={<IconCopyPlus size={16} aria-hidden />} component={Link} to="/endpoints/new" search={{ from: name } as never}>
              {t('duplicate')}
            </Menu.Item>
            <Menu.Item leftSection={<IconPower size={16} aria-hidden />} disabled={!online} onClick={() => void setEnabled(endpoint, endpoint.disabled)}>
              {t(endpoint.disabled ? 'enable' : 'disable')}
            </Menu.Item>
          </>
        ) : null}
        <Menu.Divider />
        <Menu.Item leftSection={<IconTerminal2 size={16} aria-hidden />} onClick={() => copy(shell('cliCommand'), `tollgate endpoint get ${name}`)}>
          {t('copyCli')}
        </Menu.Item>
        <Menu.Item leftSection={<IconFileText size={16} aria-hidden />} onClick={() => copy(shell('yaml'), yamlOf(name))}>
          {t('copyYaml')}
        </Menu.Item>
        <Menu.Item leftSection={<IconLink size={16} aria-hidden />} onClick={() => copy(shell('link'), `${location.origin}${basePath}endpoints/${name}/overview`)}>
          {t('copyLink')}
        </Menu.Item>
        {write ? (
          <>
            <Menu.Divider />
            <Menu.Item color="red" leftSection={<IconTrash size={16} aria-hidden />} disabled={!online} onClick={onDelete}>
              {t('delete')}
            </Menu.Item>
          </>
        ) : null}
      </Menu.Dropdown>
    </Menu>
  );
}
