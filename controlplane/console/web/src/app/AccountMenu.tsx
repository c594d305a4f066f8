import { ActionIcon, Menu, Text, Tooltip, useMantineColorScheme } from '@mantine/core';
import { IconHelp, IconUserCircle } from '@tabler/icons-react';
import { useNavigate } from '@tanstack/react-router';
import { clientOf, queryClient } from '@/api/client';
import { useCaller } from '@/api/caller';
import { AccountService } from '@/gen/tollgate/control/v1/account_pb';
import { t } from '@/text/shell';
import { announce, density, singleKeys, zone } from './preferences';

/** Who is signed in, how the console looks, and the way out. */
export function AccountMenu({ openSheet }: { openSheet: () => void }) {
  const { name } = useCaller();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const navigate = useNavigate();
  const z = zone.use();
  const d = density.use();
  const keys = singleKeys.use();
  const aloud = announce.use();
  const signOut = async () => {
    await clientOf(AccountService).signOut({});
    queryClient.clear();
    await navigate({ to: '/login' });
  };
  const choice = (label: string, on: boolean, set: () => void) => (
    <Menu.RadioItem key={label} value={label} checked={on} onChange={set}>
      {label}
    </Menu.RadioItem>
  );
  return (
    <>
      <Tooltip label={t('help')}>
        <ActionIcon aria-label={t('help')} onClick={openSheet} visibleFrom="xs">
          <IconHelp size={18} aria-hidden />
        </ActionIcon>
      </Tooltip>
      <Menu width={240}>
        <Menu.Target>
          <ActionIcon aria-label={t('account')}>
            <IconUserCircle size={20} aria-hidden />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>
            <Text size="xs" className="wrap">{t('signedInAs', { name })}</Text>
          </Menu.Label>
          <Menu.Item onClick={() => void navigate({ to: '/account' })}>{t('account')}</Menu.Item>
          <Menu.Item onClick={() => void signOut()}>{t('signOut')}</Menu.Item>
          <Menu.Divider />
          <Menu.Label>{t('scheme')}</Menu.Label>
          {choice(t('light'), colorScheme === 'light', () => setColorScheme('light'))}
          {choice(t('dark'), colorScheme === 'dark', () => setColorScheme('dark'))}
          {choice(t('system'), colorScheme === 'auto', () => setColorScheme('auto'))}
          <Menu.Label>{t('timeZone')}</Menu.Label>
          {choice(t('localTime'), z === 'local', () => zone.set('local'))}
          {choice(t('utc'), z === 'utc', () => zone.set('utc'))}
          <Menu.Label>{t('densityLabel')}</Menu.Label>
          {choice(t('comfortable'), d === 'comfortable', () => density.set('comfortable'))}
          {choice(t('compact'), d === 'compact', () => density.set('compact'))}
          <Menu.Divider />
          <Menu.CheckboxItem checked={keys} onChange={(on) => singleKeys.set(on)}>
            {t('singleKeys')}
          </Menu.CheckboxItem>
          <Menu.CheckboxItem checked={aloud} onChange={(on) => announce.set(on)}>
            {t('announceLive')}
          </Menu.CheckboxItem>
        </Menu.Dropdown>
      </Menu>
    </>
  );
}
