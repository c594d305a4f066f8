import { Button, Kbd, TextInput } from '@mantine/core';
import { useEffect, useMemo, useRef, useState } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { clientOf, refresh } from '@/api/client';
import { type Problem, problemOf } from '@/api/errors';
import { SecretService } from '@/gen/tollgate/control/v1/secret_pb';
import { t } from '@/text/endpoint-form';
import { useForm } from './context';
import { secretName } from './credential';
import { asText, heldIn, secretOf, settle } from './held';
import type { Row } from './lines';
import { nameOfHost } from './path';
import { useSecrets } from './useReferences';
import { write } from './value';
import classes from './Rows.module.css';

export interface Store {
  name: string;
  rename(name: string): void;
  store(): Promise<void>;
  plain(): void;
  busy: boolean;
  problem: Problem | undefined;
}

/** Keeps the credential that a row holds: as a secret, which is sent once and never read again, or as text. */
export function useStore(row: Row, onChange: (value: string) => void): Store {
  const { draft } = useForm();
  const secrets = useSecrets();
  const [own, setOwn] = useState<string>();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const held = heldIn(row.value);
  const suggested = useMemo(() => {
    let host = '';
    try {
      host = nameOfHost(new URL(draft.targets[0]?.url ?? '').host);
    } catch {
      // Not written yet.
    }
    return secretName(draft.name || host, row.name, new Set(secrets?.keys()));
  }, [draft.name, draft.targets, row.name, secrets]);
  const name = own ?? suggested;
  const latest = useRef(row.value);
  latest.current = row.value;
  useEffect(() => {
    if (!held) {
      setOwn(undefined);
      setProblem(undefined);
    }
  }, [held]);
  return {
    name,
    rename: setOwn,
    busy,
    problem,
    async store() {
      const value = held && secretOf(held);
      if (!held || value === undefined || busy) return;
      setBusy(true);
      setProblem(undefined);
      try {
        await clientOf(SecretService).createSecret({ name, value });
        await refresh(SecretService);
        onChange(settle(latest.current, held, write({ kind: 'secret', name })));
      } catch (err) {
        setProblem(problemOf(err));
      } finally {
        setBusy(false);
      }
    },
    plain() {
      if (held) onChange(asText(latest.current, held));
    },
  };
}

/** Offers to keep what looks like a credential as a secret. */
export function Offer({ keep }: { keep: Store }) {
  const { may } = useCaller();
  const allowed = may(Permission.SECRETS_WRITE);
  return (
    <div className={classes.offer} role="status">
      <span>{t('looksLikeCredential')}</span>
      {allowed ? (
        <>
          <TextInput
            size="xs"
            className={classes.offerName}
            classNames={{ input: 'mono' }}
            aria-label={t('secretName')}
            value={keep.name}
            onChange={(e) => keep.rename(e.currentTarget.value.trim())}
            onKeyDown={(e) => {
              if (e.key !== 'Enter' || e.metaKey || e.ctrlKey) return;
              e.preventDefault();
              void keep.store();
            }}
            error={keep.problem ? [keep.problem.violations[0]?.text ?? keep.problem.message, keep.problem.hint].filter(Boolean).join(' ') : undefined}
            autoComplete="off"
            spellCheck={false}
          />
          <Button size="compact-sm" loading={keep.busy} onClick={() => void keep.store()} rightSection={<Kbd size="xs" className={classes.kbd} aria-hidden>{'⏎'}</Kbd>}>
            {t('storeAsSecret')}
          </Button>
        </>
      ) : (
        <span>{t('mayNotStore')}</span>
      )}
      <Button size="compact-sm" variant="subtle" onClick={keep.plain}>
        {t('keepPlain')}
      </Button>
    </div>
  );
}
