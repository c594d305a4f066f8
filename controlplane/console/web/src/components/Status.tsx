import { Badge, Tooltip } from '@mantine/core';
import type { ReactNode } from 'react';
import classes from './Status.module.css';

/** How something is. Each has a sign of its own beside its colour. */
export type Tone = 'ok' | 'warn' | 'bad' | 'off' | 'info';
const signs: Record<Tone, string> = { ok: '●', warn: '▲', bad: '■', off: '○', info: '◆' };

/** A sign and a word. */
export function Status({ tone, children, hint }: { tone: Tone; children: ReactNode; hint?: ReactNode }) {
  const body = (
    <span className={classes.status} data-tone={tone}>
      <span aria-hidden className={classes.sign}>
        {signs[tone]}
      </span>
      <span>{children}</span>
    </span>
  );
  return hint ? <Tooltip label={hint} multiline maw={320}>{body}</Tooltip> : body;
}

/** A short fact beside a name. */
export function Chip({ tone = 'off', children, hint }: { tone?: Tone; children: ReactNode; hint?: ReactNode }) {
  const body = (
    <Badge variant="default" radius="sm" size="md" className={classes.chip} data-tone={tone}>
      {tone !== 'off' && (
        <span aria-hidden className={classes.chipSign}>
          {signs[tone]}
        </span>
      )}
      {children}
    </Badge>
  );
  return hint ? <Tooltip label={hint} multiline maw={320}>{body}</Tooltip> : body;
}
