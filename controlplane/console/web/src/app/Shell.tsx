import { AppShell, Burger, Group, Kbd, Text, UnstyledButton } from '@mantine/core';
import { useDisclosure, useHotkeys, useMediaQuery } from '@mantine/hooks';
import { IconSearch } from '@tabler/icons-react';
import { Outlet, useNavigate, useRouterState } from '@tanstack/react-router';
import { useEffect } from 'react';
import { boot } from '@/boot';
import { Permission, useCaller } from '@/api/caller';
import { listen } from '@/api/live';
import { TryDrawer } from '@/pages/requests/try/TryDrawer';
import { t } from '@/text/shell';
import { AccountMenu } from './AccountMenu';
import { FleetPill } from './FleetPill';
import { useKeys } from './keys';
import { destinations } from './navigation';
import { Offline } from './Offline';
import { openPalette, Palette } from './Palette';
import { SaveChip } from './SaveChip';
import { ShortcutSheet } from './ShortcutSheet';
import { Sidebar } from './Sidebar';
import { EnvironmentBadge } from './EnvironmentBadge';
import classes from './Shell.module.css';

/** The frame around every page but those for signing in. */
export function Shell() {
  const { may } = useCaller();
  const [drawer, { toggle, close }] = useDisclosure();
  const [sheet, sheetControl] = useDisclosure();
  const navigate = useNavigate();
  const path = useRouterState({ select: (s) => s.location.pathname });
  const narrow = useMediaQuery('(max-width: 1100px)') ?? false;
  const seesEdges = may(Permission.EDGES_READ);
  useEffect(() => listen(seesEdges), [seesEdges]);
  useEffect(close, [path, close]);
  useKeys(
    {
      ...Object.fromEntries(destinations.map((d) => [`g ${d.key}`, () => void navigate({ to: d.to })])),
      '?': sheetControl.open,
      n: () => void navigate({ to: '/endpoints/new' }),
    },
    true,
  );
  useHotkeys([['mod+K', openPalette, { preventDefault: true }]], []);
  return (
    <AppShell
      header={{ height: 52 }}
      navbar={{ width: narrow ? 60 : 216, breakpoint: 'sm', collapsed: { mobile: !drawer } }}
      transitionDuration={0}
      classNames={{ header: classes.header, navbar: classes.navbar, main: classes.main }}
    >
      <a href="#content" className={classes.skip}>
        {t('skip')}
      </a>
      <AppShell.Header>
        <Group h="100%" px="md" gap="sm" wrap="nowrap" justify="space-between">
          <Group gap="sm" wrap="nowrap" className={classes.brand}>
            <Burger opened={drawer} onClick={toggle} hiddenFrom="sm" size="sm" aria-label={drawer ? t('closeMenu') : t('menu')} />
            <img src="icon.svg" width={24} height={24} alt="" />
            <Text fw={600} visibleFrom="xs" className="clip">
              {boot.name || t('product')}
            </Text>
            <EnvironmentBadge />
          </Group>
          <UnstyledButton className={classes.palette} onClick={openPalette} aria-label={t('paletteLabel')}>
            <IconSearch size={14} aria-hidden />
            <span className={classes.paletteText}>{t('palette')}</span>
            <Kbd size="xs" visibleFrom="sm">
              {navigator.platform.startsWith('Mac') ? '⌘K' : 'Ctrl K'}
            </Kbd>
          </UnstyledButton>
          <Group gap={6} wrap="nowrap">
            <SaveChip />
            {seesEdges ? <FleetPill /> : null}
            <AccountMenu openSheet={sheetControl.open} />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar aria-label={t('navigation')}>
        <Sidebar icons={narrow && !drawer} />
      </AppShell.Navbar>
      <AppShell.Main id="content" tabIndex={-1}>
        <Offline />
        <Outlet />
      </AppShell.Main>
      <TryDrawer />
      <Palette openSheet={sheetControl.open} />
      <ShortcutSheet opened={sheet} onClose={sheetControl.close} />
    </AppShell>
  );
}
