// Sending a form: what the server finds wrong is told at its field, and the first such field gets the focus.

import { Alert, Button, Group, Text, Tooltip } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { type Problem, problemOf, type Violation, violationsOf } from '@/api/errors';
import { useOnline } from '@/app/Offline';
import { t } from '@/text/access';
import { t as shell } from '@/text/shell';

export interface Submit {
  busy: boolean;
  problem: Problem | undefined;
  /** What is wrong with a field; undefined for nothing. */
  at: (field: string) => string | undefined;
  /** Runs unless something is wrong already. Whether it was done. */
  send: (run: () => Promise<unknown>, wrong?: Violation[]) => Promise<boolean>;
  clear: () => void;
  form: React.RefObject<HTMLFormElement | null>;
  /** Sends the form with ⌘Enter, from wherever in it. */
  onKeyDown: (e: React.KeyboardEvent<HTMLFormElement>) => void;
}

const none = { code: '', message: '', hint: '', requestId: '', retryAfterMs: 0, away: false, connect: 0 } as unknown as Problem;

export function useSubmit(fields: string[]): Submit {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const form = useRef<HTMLFormElement>(null);
  const online = useOnline();
  useEffect(() => {
    if (!problem) return;
    const first = fields.find((f) => violationsOf(problem, f).length);
    if (first) form.current?.querySelector<HTMLElement>(`[data-field="${first}"]`)?.focus();
    // Only another problem moves the focus.
  }, [problem]); // oxlint-disable-line react-hooks/exhaustive-deps
  return {
    busy,
    problem,
    form,
    clear: () => setProblem(undefined),
    at: (field) => violationsOf(problem, field).map((v) => v.text).join(' ') || undefined,
    send: async (run, wrong = []) => {
      if (busy || !online) return false;
      if (wrong.length) {
        setProblem({ ...none, violations: wrong });
        return false;
      }
      setBusy(true);
      setProblem(undefined);
      try {
        await run();
        return true;
      } catch (err) {
        setProblem(problemOf(err));
        return false;
      } finally {
        setBusy(false);
      }
    },
    onKeyDown: (e) => {
      if (e.key === 'Enter' && (e.metaKey || e.ctrlKey)) {
        e.preventDefault();
        form.current?.requestSubmit();
      }
    },
  };
}

/** What is wrong, where it is more than one thing or belongs to no field. */
export function Wrong({ of, fields }: { of: Submit; fields: string[] }) {
  const p = of.problem;
  if (!p) return null;
  const elsewhere = p.violations.filter((v) => !fields.some((f) => violationsOf({ ...p, violations: [v] }, f).length));
  if (p.violations.length === 1 && !elsewhere.length) return null;
  return (
    <Alert color="red" variant="outline" role="alert" icon={<IconAlertTriangle size={18} aria-hidden />} title={p.violations.length > 1 ? t('problems', { n: p.violations.length }) : p.message}>
      {p.hint && p.violations.length < 2 ? <Text size="sm">{p.hint}</Text> : null}
      {(p.violations.length > 1 ? p.violations : elsewhere).map((v) => (
        <Text size="sm" key={v.field + v.code + v.text}>{v.text}</Text>
      ))}
    </Alert>
  );
}

/** The buttons below a form. While the server cannot be reached, the form keeps what it has. */
export function Buttons({ of, action, onClose, danger }: { of: Submit; action: ReactNode; onClose: () => void; danger?: boolean }) {
  const online = useOnline();
  return (
    <Group justify="flex-end" gap="xs">
      <Button variant="default" onClick={onClose}>
        {shell('cancel')}
      </Button>
      <Tooltip label={t('offline')} disabled={online}>
        <Button type="submit" loading={of.busy} color={danger ? 'red.9' : undefined} data-disabled={!online || undefined} aria-disabled={!online || undefined}>
          {action}
        </Button>
      </Tooltip>
    </Group>
  );
}
