import { Drawer } from '@mantine/core';
import { lazy, Suspense } from 'react';
import { store } from '@/api/store';
import { Lines, Soon } from '@/components/Region';
import { t } from '@/text/try';
import type { Draft } from './draft';

// The panel is loaded when it is first opened: any page may open it.
const Panel = lazy(() => import('./TryPanel').then((m) => ({ default: m.TryPanel })));

/** It may be opened from another drawer. */
const above = 250;

interface Opened {
  endpoint: string;
  initial?: Draft;
  sendAtOnce?: boolean;
}

const opened = store<Opened | undefined>(undefined);

/** Opens the panel for an endpoint, beside whatever page there is. */
export const openTry = (endpoint: string, initial?: Draft, sendAtOnce = false) => opened.set({ endpoint, ...(initial ? { initial } : {}), sendAtOnce });

/** The drawer in which a request is tried. The shell has it once. */
export function TryDrawer() {
  const now = opened.use();
  return (
    <Drawer
      opened={!!now}
      onClose={() => opened.set(undefined)}
      size="min(780px, 100vw)"
      zIndex={above}
      title={now ? t('title', { name: now.endpoint }) : ''}
      closeButtonProps={{ 'aria-label': t('close') }}
    >
      {now ? (
        <Suspense
          fallback={
            <Soon>
              <Lines n={6} />
            </Soon>
          }
        >
          <Panel endpoint={now.endpoint} initial={now.initial} sendAtOnce={now.sendAtOnce ?? false} />
        </Suspense>
      ) : null}
    </Drawer>
  );
}
