import { Button, Group, Modal, PasswordInput, Stack, Text, TextInput } from '@mantine/core';
import { useState } from 'react';
import { clientOf, refresh } from '@/api/client';
import { type Problem, problemOf, violationsOf } from '@/api/errors';
import { SecretService } from '@/gen/tollgate/control/v1/secret_pb';
import { t as shell } from '@/text/shell';
import { t } from '@/text/endpoint-form';

/** Stores a secret, or replaces the value of one. What is typed goes to the server once and is then forgotten. */
export function SecretDialog({ name, rotate, onClose, onSaved }: { name: string; rotate: boolean; onClose: () => void; onSaved: (name: string) => void }) {
  const [as, setAs] = useState(name);
  const [value, setValue] = useState('');
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const go = async () => {
    setBusy(true);
    setProblem(undefined);
    try {
      if (rotate) await clientOf(SecretService).rotateSecret({ secret: name, value });
      else await clientOf(SecretService).createSecret({ name: as, value });
      await refresh(SecretService);
      onSaved(as);
      onClose();
    } catch (err) {
      setProblem(problemOf(err));
    } finally {
      setBusy(false);
    }
  };
  const at = (field: string) => violationsOf(problem, field).map((v) => v.text).join(' ') || undefined;
  const title = rotate ? t('replaceOf', { name }) : t('createSecret');
  return (
    <Modal opened onClose={onClose} title={<Text fw={600} component="span">{title}</Text>} closeButtonProps={{ 'aria-label': shell('close') }}>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          // A dialog is in the page of the form, which must not be sent along.
          e.stopPropagation();
          void go();
        }}
      >
        <Stack gap="sm">
          {rotate ? null : (
            <TextInput label={t('secretName')} value={as} onChange={(e) => setAs(e.currentTarget.value.trim())} error={at('name')} autoComplete="off" spellCheck={false} required data-autofocus={name ? undefined : true} />
          )}
          <PasswordInput
            label={t('secretValue')}
            description={t('secretValueHint')}
            value={value}
            onChange={(e) => setValue(e.currentTarget.value)}
            error={at('value')}
            autoComplete="off"
            data-1p-ignore
            required
            data-autofocus={name ? true : undefined}
            visibilityToggleButtonProps={{ 'aria-label': t('showValue') }}
          />
          {problem && !problem.violations.length ? (
            <Text size="sm" className="bad" role="alert">
              {[problem.message, problem.hint].filter(Boolean).join(' ')}
            </Text>
          ) : null}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>{shell('cancel')}</Button>
            <Button type="submit" loading={busy}>{rotate ? t('replaceValue') : t('store')}</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
