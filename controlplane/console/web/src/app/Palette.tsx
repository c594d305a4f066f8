import { Group, Kbd, Text, useComputedColorScheme, useMantineColorScheme } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { createSpotlight, Spotlight } from '@mantine/spotlight';
import { useQuery } from '@connectrpc/connect-query';
import { keepPreviousData, skipToken } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import {
  IconActivity,
  IconBolt,
  IconBuildingBank,
  IconClock,
  IconKey,
  IconKeyboard,
  IconLock,
  IconMoon,
  IconPointFilled,
  IconRoute,
  IconRouteAltLeft,
  IconSearch,
  IconServer2,
  IconSun,
  IconUsers,
} from '@tabler/icons-react';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { useCaller } from '@/api/caller';
import { problemOf } from '@/api/errors';
import { type SearchResult, SearchService } from '@/gen/tollgate/control/v1/search_pb';
import { t } from '@/text/palette';
import { t as shell } from '@/text/shell';
import { destinations } from './navigation';
import { actions, matches, meaningOf, type Place, placeOf, recent, remember } from './paletteItems';

const [spotlightStore, spotlight] = createSpotlight();
export const openPalette = spotlight.open;

const icons: Record<string, typeof IconKey> = {
  endpoint: IconRoute,
  key: IconKey,
  team: IconUsers,
  secret: IconLock,
  budget: IconBuildingBank,
  edge: IconServer2,
  request: IconActivity,
};

/** Finds things and runs commands by a few letters, without leaving the keyboard. */
export function Palette({ openSheet }: { openSheet: () => void }) {
  const [query, setQuery] = useState('');
  const [asked] = useDebouncedValue(query.trim(), 120);
  const navigate = useNavigate();
  const { may } = useCaller();
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme();
  const last = recent.use();
  const meaning = meaningOf(query);
  const found = useQuery(SearchService.method.search, asked && !meaningOf(asked) ? { query: asked, limit: 20 } : skipToken, { placeholderData: keepPreviousData, staleTime: 5000 });

  // Enter opens what stands first, also if that was found only now.
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const first = list.current?.querySelector('[data-action]');
    if (!first) return;
    list.current?.querySelector('[data-selected]')?.removeAttribute('data-selected');
    first.setAttribute('data-selected', 'true');
    spotlightStore.setState({ ...spotlightStore.getState(), selected: 0 });
  }, [query, found.data]);

  const close = () => {
    spotlight.close();
    setQuery('');
  };
  const go = (place: Place) => {
    close();
    void navigate({ to: place.to, search: (place.search ?? {}) as never });
  };
  const text = query.trim();
  const shownActions = actions.filter((a) => may(a.needs) && (!text || matches(text, `${a.label} ${a.words ?? ''}`)));
  const shownPages = destinations.filter((d) => may(d.needs) && (!text || matches(text, d.label)));
  // What was found for an earlier text stays while it fits, so that nothing flickers and Enter opens nothing else.
  const fits = asked === text && !found.isPlaceholderData ? () => true : (r: SearchResult) => matches(text, `${r.name} ${r.id} ${r.detail}`);
  const results = text && !meaning ? (found.data?.results ?? []).filter(fits) : [];
  const kinds = [...new Set(results.map((r) => r.kind))];
  const other = [
    { id: 'scheme', label: scheme === 'dark' ? t('light') : t('dark'), icon: scheme === 'dark' ? <IconSun size={18} aria-hidden /> : <IconMoon size={18} aria-hidden />, run: () => setColorScheme(scheme === 'dark' ? 'light' : 'dark') },
    { id: 'sheet', label: t('shortcuts'), icon: <IconKeyboard size={18} aria-hidden />, run: openSheet, key: '?' },
  ].filter((o) => !text || matches(text, o.label));
  const nothing = text && !meaning && !found.isFetching && !results.length && !shownActions.length && !shownPages.length && !other.length;

  return (
    <Spotlight.Root store={spotlightStore} query={query} onQueryChange={setQuery} shortcut={null} scrollable maxHeight="min(60vh, 520px)" size="lg">
      <Spotlight.Search placeholder={t('placeholder')} aria-label={shell('paletteLabel')} leftSection={<IconSearch size={18} aria-hidden />} />
      <Spotlight.ActionsList ref={list}>
        {meaning ? (
          <Row
            icon={meaning.kind === 'path' ? <IconRouteAltLeft size={18} aria-hidden /> : <IconBolt size={18} aria-hidden />}
            label={meaning.kind === 'path' ? t('explainPath', { path: text }) : t('openRequest', { id: text })}
            onClick={() => go(meaning.place)}
          />
        ) : null}
        {!text && last.length ? (
          <Spotlight.ActionsGroup label={t('recent')}>
            {last.map((r) => (
              <Row key={r.kind + r.id} icon={<IconClock size={18} aria-hidden />} label={r.name} detail={t.has(r.kind) ? t(r.kind as 'key') : r.kind} onClick={() => go(placeOf(r))} />
            ))}
          </Spotlight.ActionsGroup>
        ) : null}
        {kinds.map((kind) => {
          const Icon = icons[kind] ?? IconPointFilled;
          return (
            <Spotlight.ActionsGroup key={kind} label={t.has(kind) ? t(kind as 'key') : kind}>
              {results
                .filter((r) => r.kind === kind)
                .map((r) => (
                  <Row
                    key={r.id || r.name}
                    icon={<Icon size={18} aria-hidden />}
                    label={r.name || r.id}
                    detail={r.detail}
                    onClick={() => {
                      remember({ kind: r.kind, id: r.id, name: r.name || r.id });
                      go(placeOf(r));
                    }}
                  />
                ))}
            </Spotlight.ActionsGroup>
          );
        })}
        {shownActions.length || other.length ? (
          <Spotlight.ActionsGroup label={t('actions')}>
            {shownActions.map((a) => (
              <Row key={a.id} icon={<IconBolt size={18} aria-hidden />} label={a.label} keys={a.key ? [a.key] : undefined} onClick={() => go(a.place)} />
            ))}
            {other.map((o) => (
              <Row
                key={o.id}
                icon={o.icon}
                label={o.label}
                keys={o.key ? [o.key] : undefined}
                onClick={() => {
                  close();
                  o.run();
                }}
              />
            ))}
          </Spotlight.ActionsGroup>
        ) : null}
        {shownPages.length ? (
          <Spotlight.ActionsGroup label={t('goTo')}>
            {shownPages.map((d) => (
              <Row key={d.to} icon={<d.icon size={18} aria-hidden />} label={d.label} keys={['g', d.key]} onClick={() => go({ to: d.to })} />
            ))}
          </Spotlight.ActionsGroup>
        ) : null}
        {nothing ? <Spotlight.Empty>{found.error ? t('failed', { message: problemOf(found.error).message }) : t('nothing')}</Spotlight.Empty> : null}
      </Spotlight.ActionsList>
      <Spotlight.Footer>
        <Group gap="md">
          <Hint keys="↑ ↓" text={t('hintMove')} />
          <Hint keys="Enter" text={t('hintOpen')} />
          <Hint keys="Esc" text={t('hintClose')} />
        </Group>
      </Spotlight.Footer>
    </Spotlight.Root>
  );
}

function Hint({ keys, text }: { keys: string; text: string }) {
  return (
    <Text size="xs" className="dim">
      <Kbd size="xs">{keys}</Kbd> {text}
    </Text>
  );
}

function Row({ icon, label, detail, keys, onClick }: { icon: ReactNode; label: string; detail?: string; keys?: string[] | undefined; onClick: () => void }) {
  return (
    <Spotlight.Action
      onClick={onClick}
      leftSection={icon}
      rightSection={
        keys ? (
          <Group gap={4} aria-hidden>
            {keys.map((k) => (
              <Kbd key={k} size="xs">
                {k}
              </Kbd>
            ))}
          </Group>
        ) : undefined
      }
    >
      <Group gap={10} wrap="nowrap" style={{ flex: 1, minWidth: 0 }}>
        <Text size="sm" className="clip">{label}</Text>
        {detail ? <Text size="xs" className="dim clip">{detail}</Text> : null}
      </Group>
    </Spotlight.Action>
  );
}
