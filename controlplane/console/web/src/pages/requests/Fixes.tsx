import { Button, Group } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { Status } from '@/components/Status';
import type { Act, Cause } from './cause';
import classes from './Fixes.module.css';

type Acts = Partial<Record<Act, (of: string) => void>>;

/** Why a request ended as it did, and beside it what can be done. */
export function CauseNote({ cause, acts }: { cause: Cause; acts: Acts }) {
  if (cause.tone === 'ok') return <div className="dim">{cause.text}</div>;
  return (
    <div className={classes.note} data-tone={cause.tone} role="alert">
      <div className={classes.text}>
        <Status tone={cause.tone}>
          <span className="visually-hidden" />
        </Status>
        <strong>{cause.text}</strong>
      </div>
      <Fixes cause={cause} acts={acts} />
    </div>
  );
}

/** What can be done about a failure. What a place cannot do is not offered there. */
function Fixes({ cause, acts }: { cause: Cause; acts: Acts }) {
  const can = cause.fixes.filter((f) => f.to || (f.act && acts[f.act]));
  if (!can.length) return null;
  return (
    <Group gap={8}>
      {can.map((f, i) => {
        const look = { size: 'compact-sm', variant: i ? 'default' : 'filled' } as const;
        return f.to ? (
          <Button key={f.label} {...look} component={Link} to={f.to} search={(f.search ?? {}) as never}>
            {f.label}
          </Button>
        ) : (
          <Button key={f.label} {...look} onClick={() => acts[f.act!]!(f.of ?? '')}>
            {f.label}
          </Button>
        );
      })}
    </Group>
  );
}
