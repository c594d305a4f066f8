import { Alert, Anchor, Button, Code, Group, Skeleton, Stack, Text } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { type ReactNode, useEffect, useState } from 'react';
import { useNow } from '@/app/clock';
import { zone } from '@/app/preferences';
import { problemOf } from '@/api/errors';
import { clock } from '@/lib/time';
import { t } from '@/text/shell';
import { CopyText } from './CopyText';
import classes from './Region.module.css';

interface Query<T> {
  data: T | undefined;
  error: unknown;
  isFetching: boolean;
  dataUpdatedAt: number;
  refetch: () => unknown;
}

/**
 * A part of a page that shows what a query answers, in each of its states: a skeleton of what is to come, an error beside what
 * was known before, nothing yet, or the data.
 */
export function Region<T>({
  query,
  skeleton = 6,
  children,
}: {
  query: Query<T>;
  /** Lines, or what the layout looks like. */
  skeleton?: number | ReactNode;
  children: (data: T) => ReactNode;
}) {
  const z = zone.use();
  if (query.data === undefined) {
    if (query.error) return <Failure error={query.error} retry={() => query.refetch()} />;
    return <Soon>{typeof skeleton === 'number' ? <Lines n={skeleton} /> : skeleton}</Soon>;
  }
  return (
    <>
      {query.error ? (
        <Failure
          error={query.error}
          retry={() => query.refetch()}
          title={t('refreshFailed', { time: clock(query.dataUpdatedAt, z) })}
        />
      ) : null}
      <div className={query.error ? classes.stale : undefined}>{children(query.data)}</div>
    </>
  );
}

/** Shown only to who waits longer than a moment. */
export function Soon({ children }: { children: ReactNode }) {
  const [due, setDue] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setDue(true), 150);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div aria-busy="true" aria-live="polite" className={classes.soon}>
      {due && children}
    </div>
  );
}

export function Lines({ n }: { n: number }) {
  return (
    <Stack gap={10} py="sm">
      {Array.from({ length: n }, (_, i) => (
        <Skeleton key={i} height={16} width={`${90 - ((i * 17) % 35)}%`} />
      ))}
    </Stack>
  );
}

/** What went wrong, why, and what to do. */
export function Failure({ error, retry, title, fix }: { error: unknown; retry?: () => void; title?: string; fix?: ReactNode }) {
  const p = problemOf(error);
  const now = useNow();
  const [since] = useState(now);
  return (
    <Alert color="red" variant="outline" icon={<IconAlertTriangle size={18} aria-hidden />} className={classes.failure} role="alert" title={title ?? p.message}>
      <Stack gap={6}>
        {title ? <Text size="sm">{p.message}</Text> : null}
        {p.hint ? <Text size="sm">{p.hint}</Text> : null}
        {p.violations.map((v) => (
          <Text size="sm" key={v.field + v.code}>
            <span className="mono">{v.field}</span> {v.text}
          </Text>
        ))}
        <Group gap="xs">
          {retry ? (
            <Button size="compact-xs" variant="default" onClick={retry}>
              {t('retry')}
            </Button>
          ) : null}
          {fix}
          <Code>{p.code}</Code>
          {p.requestId ? <CopyText value={p.requestId} label={t('copyRequestId')} /> : null}
          {now - since > 60_000 ? <span className="dim">{t('stillFailing')}</span> : null}
        </Group>
      </Stack>
    </Alert>
  );
}

/** Nothing to show: why, what to do, and how to do it in a terminal. */
export function Empty({ title, children, actions, cli, icon }: { title: string; children?: ReactNode; actions?: ReactNode; cli?: string; icon?: ReactNode }) {
  return (
    <div className={classes.empty}>
      {icon ? <div className={classes.emptyIcon} aria-hidden>{icon}</div> : null}
      <Text fw={600} component="h2" size="md">
        {title}
      </Text>
      {children ? (
        <Text className="dim" size="sm" maw={520} component="div">
          {children}
        </Text>
      ) : null}
      {actions ? <Group gap="xs">{actions}</Group> : null}
      {cli ? (
        <Group gap={4} wrap="nowrap" className={classes.emptyCli}>
          <code className="mono wrap">{cli}</code>
          <CopyText value={cli} label={t('copyCommand')} iconOnly />
        </Group>
      ) : null}
    </div>
  );
}

/** Nothing passes the filters. */
export function NoMatch({ filters, onClear }: { filters: number; onClear: () => void }) {
  return (
    <div className={classes.empty}>
      <Text size="sm">
        {t('noMatch', { n: filters })}{' '}
        <Anchor component="button" type="button" size="sm" onClick={onClear}>
          {t('clearFilters')}
        </Anchor>
      </Text>
    </div>
  );
}
