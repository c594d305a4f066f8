import { Menu, Tooltip } from '@mantine/core';
import { IconExternalLink, IconKey, IconLock, IconPlus, IconRefresh, IconTerminal2, IconUnlink } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import type { KeyboardEvent } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { list } from '@/lib/text';
import { t } from '@/text/endpoint-form';
import { useForm } from './context';
import { useSecrets, useVariables } from './useReferences';
import type { Ref } from './value';
import classes from './ValueField.module.css';

/** A reference in a value: what it is, how it is, and what can be done with it. */
export function RefPill({
  of,
  part,
  onRemove,
  onCreate,
  onReplace,
  onMove,
}: {
  of: Ref;
  part: number;
  onRemove: () => void;
  onCreate: (secret: string) => void;
  onReplace: (secret: string) => void;
  onMove: (by: -1 | 1) => void;
}) {
  const form = useForm();
  const { may } = useCaller();
  const told = useTold(of);
  const Icon = of.kind === 'secret' ? IconKey : of.kind === 'env' ? IconTerminal2 : IconLock;
  const keys = (e: KeyboardEvent) => {
    if (e.key === 'Backspace' || e.key === 'Delete') onRemove();
    else if (e.key === 'ArrowLeft') onMove(-1);
    else if (e.key === 'ArrowRight') onMove(1);
    else return;
    e.preventDefault();
  };
  return (
    <Menu position="bottom-start">
      <Menu.Target>
        <Tooltip label={told.text} multiline maw={320}>
          <button type="button" data-part={part} className={classes.pill} data-kind={of.kind} data-tone={told.tone} disabled={form.disabled} onKeyDown={keys}>
            <Icon size={13} aria-hidden />
            <span className="clip">{of.kind === 'held' ? t('held') : of.name}</span>
            {told.mark ? <span aria-hidden>{told.mark}</span> : null}
            <span className="visually-hidden">{told.text}</span>
          </button>
        </Tooltip>
      </Menu.Target>
      <Menu.Dropdown>
        {told.missing && may(Permission.SECRETS_WRITE) ? (
          <Menu.Item leftSection={<IconPlus size={16} aria-hidden />} onClick={() => onCreate(of.name)}>{t('createIt')}</Menu.Item>
        ) : null}
        {of.kind === 'secret' && told.known ? (
          <>
            {may(Permission.SECRETS_WRITE) ? (
              <Menu.Item leftSection={<IconRefresh size={16} aria-hidden />} onClick={() => onReplace(of.name)}>{t('replaceValue')}</Menu.Item>
            ) : null}
            <Menu.Item leftSection={<IconExternalLink size={16} aria-hidden />} component={Link} to={`/secrets/${of.name}`}>{t('openSecret')}</Menu.Item>
          </>
        ) : null}
        <Menu.Item leftSection={<IconUnlink size={16} aria-hidden />} onClick={onRemove}>{of.kind === 'held' ? t('discard') : t('unlink')}</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

interface Told {
  text: string;
  tone?: 'warn' | 'bad';
  mark?: string;
  missing?: boolean;
  known?: boolean;
}

function useTold(of: Ref): Told {
  const secrets = useSecrets();
  const variables = useVariables();
  if (of.kind === 'held') return { text: t('heldHint'), tone: 'warn' };
  if (of.kind === 'secret') {
    const s = secrets?.get(of.name);
    if (s) return { text: t('secretHint', { name: s.name, version: Number(s.version), n: s.endpoints.length }), known: true };
    return secrets ? { text: t('secretMissing', { name: of.name }), tone: 'bad', mark: '■', missing: true } : { text: t('secretNamed', { name: of.name }) };
  }
  const v = variables.get(of.name);
  if (!v || !v.total) return { text: t('envUnknown', { name: of.name }) };
  if (!v.missing.length) return { text: t('envSet', { name: of.name, n: v.total }) };
  return { text: t('envMissing', { name: of.name, set: v.total - v.missing.length, n: v.total, names: list(v.missing) }), tone: 'warn', mark: '▲' };
}
