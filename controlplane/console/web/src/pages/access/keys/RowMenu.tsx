import { ActionIcon, Menu } from '@mantine/core';
import { useClipboard } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import { IconBan, IconCalendarPlus, IconCircleCheck, IconDots, IconHash, IconList, IconRefresh, IconTerminal2, IconTrash, IconUsersGroup } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { useOnline } from '@/app/Offline';
import type { Key } from '@/gen/tollgate/control/v1/key_pb';
import { t } from '@/text/access';
import { t as shell } from '@/text/shell';
import { useMayKeys } from '../useMay';
import { setBlocked } from './actions';
import { alive, quote } from './facts';

export type Doing = { kind: 'rotate' | 'block' | 'revoke' | 'extend' | 'move'; keys: Key[] };

/** What can be done to a key of a list. */
export function RowMenu({ of: k, begin }: { of: Key; begin: (doing: Doing) => void }) {
  const clipboard = useClipboard();
  const may = useMayKeys().of(k.team);
  const online = useOnline();
  const copy = (what: string, text: string) => {
    clipboard.copy(text);
    notifications.show({ message: shell('copiedAs', { what }), autoClose: 1500 });
  };
  const item = (kind: Doing['kind'], Icon: typeof IconRefresh, danger = false) => (
    <Menu.Item color={danger ? 'red' : undefined} leftSection={<Icon size={16} aria-hidden />} disabled={!online} onClick={() => begin({ kind, keys: [k] })}>
      {t(`do_${kind}`)}
    </Menu.Item>
  );
  return (
    <Menu>
      <Menu.Target>
        <ActionIcon size={24} aria-label={t('actionsOf', { name: k.name })} onClick={(e) => e.stopPropagation()}>
          <IconDots size={16} aria-hidden />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown onClick={(e) => e.stopPropagation()}>
        {may && alive(k) ? (
          <>
            {item('rotate', IconRefresh)}
            {item('extend', IconCalendarPlus)}
            {item('move', IconUsersGroup)}
            {k.blocked ? (
              <Menu.Item leftSection={<IconCircleCheck size={16} aria-hidden />} disabled={!online} onClick={() => void setBlocked(k, false)}>
                {t('unblock')}
              </Menu.Item>
            ) : (
              item('block', IconBan)
            )}
            <Menu.Divider />
          </>
        ) : null}
        <Menu.Item leftSection={<IconList size={16} aria-hidden />} component={Link} to="/requests" search={{ key: [k.name] } as never}>
          {t('seeRequests')}
        </Menu.Item>
        <Menu.Item leftSection={<IconHash size={16} aria-hidden />} onClick={() => copy(t('id'), k.id)}>
          {t('copyId')}
        </Menu.Item>
        <Menu.Item leftSection={<IconTerminal2 size={16} aria-hidden />} onClick={() => copy(shell('cliCommand'), `tollgate key get ${quote(k.name)}`)}>
          {t('copyCli')}
        </Menu.Item>
        {may && alive(k) ? (
          <>
            <Menu.Divider />
            {item('revoke', IconTrash, true)}
          </>
        ) : null}
      </Menu.Dropdown>
    </Menu>
  );
}
