import { Anchor, Modal, Stack, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQuery } from '@connectrpc/connect-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { clientOf, refresh } from '@/api/client';
import { zone } from '@/app/preferences';
import { Confirm } from '@/components/Confirm';
import { Lines, Region } from '@/components/Region';
import { type Secret, type SecretReference, SecretService } from '@/gen/tollgate/control/v1/secret_pb';
import { absolute, millis } from '@/lib/time';
import { openTry } from '@/pages/requests/try/TryDrawer';
import { t } from '@/text/secrets';
import { t as shell } from '@/text/shell';
import classes from '../Access.module.css';
import { anyway } from '../keys/actions';
import { Buttons, useSubmit, Wrong } from '../submit';
import { ValueInput } from './SecretForm';

const calls = clientOf(SecretService);

/** Replaces the value of a secret. The one before can be brought back for a day. */
export function RotateSecret({ of: s, onClose }: { of: Secret; onClose: () => void }) {
  const submit = useSubmit(['value']);
  const [value, setValue] = useState('');
  const first = s.endpoints[0];
  const go = () =>
    submit.send(
      async () => {
        await calls.rotateSecret({ secret: s.id, value, etag: s.etag }, anyway(s));
        setValue('');
        await refresh(SecretService);
        notifications.show({
          autoClose: 10_000,
          message: (
            <>
              {t('rotatedNow', { name: s.name })}{' '}
              {first ? (
                <Anchor component="button" type="button" size="sm" onClick={() => openTry(first)}>
                  {t('testWith', { name: first })}
                </Anchor>
              ) : null}
            </>
          ),
        });
        onClose();
      },
      value ? [] : [{ field: 'value', code: 'required', text: t('valueMissing') }],
    );
  return (
    <Modal opened onClose={onClose} title={<Text fw={600} component="span">{t('rotateTitle', { name: s.name })}</Text>} closeButtonProps={{ 'aria-label': shell('close') }}>
      <form ref={submit.form} noValidate autoComplete="off" onKeyDown={submit.onKeyDown} onSubmit={(e) => (e.preventDefault(), void go())}>
        <Stack gap="sm">
          <Wrong of={submit} fields={['value']} />
          <ValueInput label={t('newValue')} value={value} error={submit.at('value')} onChange={setValue} autoFocus />
          <Text size="sm">
            {s.endpoints.length ? t('rotateUses', { n: s.endpoints.length }) : null} {t('rotateText')}
          </Text>
          <Buttons of={submit} action={t('rotate')} onClose={onClose} />
        </Stack>
      </form>
    </Modal>
  );
}

/** Brings back the value that a secret had before. */
export function RollbackSecret({ of: s, onClose }: { of: Secret; onClose: () => void }) {
  const z = zone.use();
  const run = async () => {
    await calls.rollbackSecret({ secret: s.id, etag: s.etag }, anyway(s));
    await refresh(SecretService);
    notifications.show({ message: t('rolledBack', { name: s.name }), autoClose: 4000 });
  };
  return (
    <Confirm title={t('rollbackTitle', { name: s.name })} action={t('rollbackAction')} danger={false} run={run} onClose={onClose}>
      {t('rollbackText', { version: String(s.version), until: absolute(millis(s.rollbackEndTime) ?? 0, z) })}
    </Confirm>
  );
}

/** Asks before a secret goes. While anything refers to it, it cannot, and what does is listed. */
export function DeleteSecret({ of: s, onClose, onDone }: { of: Secret; onClose: () => void; onDone?: () => void }) {
  const query = useQuery(SecretService.method.listSecretReferences, { secret: s.id });
  const references = query.data?.references;
  if (!references || references.length) {
    return (
      <Modal opened onClose={onClose} title={<Text fw={600} component="span">{t(references ? 'inUse' : 'deleteTitle', { name: s.name })}</Text>} closeButtonProps={{ 'aria-label': shell('close') }}>
        <Region query={query} skeleton={<Lines n={3} />}>
          {(d) => (
            <Stack gap="sm">
              <Text size="sm">{t('inUseText', { n: d.references.length })}</Text>
              <References of={d.references} />
            </Stack>
          )}
        </Region>
      </Modal>
    );
  }
  const run = async () => {
    await calls.deleteSecret({ secret: s.id, etag: s.etag }, anyway(s));
    notifications.show({ message: t('deleted', { name: s.name }), autoClose: 4000 });
    onDone?.();
    await refresh(SecretService);
  };
  return (
    <Confirm title={t('deleteTitle', { name: s.name })} action={t('deleteAction')} run={run} onClose={onClose}>
      {t('deleteText')}
    </Confirm>
  );
}

/** What uses a secret, and where in it. */
export function References({ of: references }: { of: SecretReference[] }) {
  if (!references.length) return <span className="dim">{t('unused')}</span>;
  return (
    <ul className={classes.references}>
      {references.map((r) => (
        <li key={r.kind + r.name + r.field}>
          {r.kind === 'endpoint' ? (
            <Link to="/endpoints/$name/$tab" params={{ name: r.name, tab: 'configure' }} className={classes.more}>
              {r.name}
            </Link>
          ) : (
            <span>
              {t(r.kind === 'model' ? 'kind_model' : 'kind_adapter')} {r.name}
            </span>
          )}{' '}
          <span className="mono dim">{r.field}</span>
        </li>
      ))}
    </ul>
  );
}
