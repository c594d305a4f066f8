import { Anchor, Drawer, Group } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import { t } from '@/text/requests';
import { RequestDetail } from './RequestDetail';
import { SearchList } from './SearchList';
import type { Selection } from './selection';

const day = 86_400_000;

/** The requests of an endpoint, a key or a team on its own page, with a way to all of them and to the live list. */
export function RequestList({ filter, days = 7, height = 480 }: { filter: Selection; days?: number; height?: number }) {
  const [sel, setSel] = useState<string>();
  const wanted = JSON.stringify(filter);
  const selection = useMemo<Selection>(() => JSON.parse(wanted) as Selection, [wanted]);
  const range = useMemo(() => {
    const now = Date.now();
    return { from: now - days * day, to: undefined, end: now };
  }, [days]);
  return (
    <>
      <Group gap={16} justify="flex-end" mb={8}>
        <Anchor size="sm" component={Link} to="/requests" search={{ ...filter, live: true } as never}>
          {t('live')}
        </Anchor>
        <Anchor size="sm" component={Link} to="/requests" search={filter as never}>
          {t('search')}
        </Anchor>
      </Group>
      <SearchList selection={selection} range={range} sel={sel} open={(r) => setSel(r.id)} clear={() => undefined} height={height} />
      <Drawer opened={!!sel} onClose={() => setSel(undefined)} size="min(680px, 100vw)" title={<span className="mono">{sel}</span>} closeButtonProps={{ 'aria-label': t('close') }}>
        {sel ? <RequestDetail key={sel} id={sel} /> : null}
      </Drawer>
    </>
  );
}
