import { Drawer, SegmentedControl, PasswordInput, Stack, Text, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useState } from 'react';
import { clientOf, refresh } from '@/api/client';
import { type Secret, SecretService } from '@/gen/tollgate/control/v1/secret_pb';
import { t as shared } from '@/text/access';
import { t } from '@/text/secrets';
import { t as shell } from '@/text/shell';
import classes from '../Access.module.css';
import { anyway } from '../keys/actions';
import { Buttons, useSubmit, Wrong } from '../submit';
import { type Provider, providerOf } from './facts';

const calls = clientOf(SecretService);
const fields = ['name', 'value', 'reference', 'description'];
const nameForm = /^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$/;
const kinds: Provider[] = ['stored', 'env', 'file', 'vault'];

/** Stores a secret or says where edges find it; or changes what one is for, or where it is found. */
export function SecretForm({ of: s, onClose, onDone }: { of?: Secret; onClose: () => void; onDone: (s: Secret) => void }) {
  const submit = useSubmit(fields);
  const [name, setName] = useState('');
  const [kind, setKind] = useState<Provider>(s ? providerOf(s) : 'stored');
  const [value, setValue] = useState('');
  const [place, setPlace] = useState(s?.reference.replace(/^[a-z]+:/, '') ?? '');
  const [description, setDescription] = useState(s?.description ?? '');
  const stored = kind === 'stored';
  const reference = stored ? '' : `${kind}:${place.trim()}`;
  const go = () => {
    const wrong = [];
    if (!s && !nameForm.test(name)) wrong.push({ field: 'name', code: 'name', text: name ? shared('nameForm') : t('nameMissing') });
    if (!s && stored && !value) wrong.push({ field: 'value', code: 'required', text: t('valueMissing') });
    if (!stored && !place.trim()) wrong.push({ field: 'reference', code: 'required', text: t('placeMissing') });
    return submit.send(async () => {
      const done = s
        ? (await calls.updateSecret({ secret: s.id, etag: s.etag, description: description.trim(), ...(reference && reference !== s.reference ? { reference } : {}) }, anyway(s))).secret!
        : (await calls.createSecret({ name, value: stored ? value : '', reference, description: description.trim() })).secret!;
      setValue('');
      await refresh(SecretService);
      notifications.show({ message: t(s ? 'saved' : 'made', { name: done.name }), autoClose: 3000 });
      onDone(done);
    }, wrong);
  };
  // A value that is stored can be replaced by a place where edges find it, and not the other way round.
  const offered = s?.reference ? kinds.filter((k) => k !== 'stored') : kinds;
  return (
    <Drawer opened onClose={onClose} size="min(520px, 100vw)" title={<Text fw={600} component="span">{s ? t('editTitle', { name: s.name }) : t('create')}</Text>} closeButtonProps={{ 'aria-label': shell('close') }}>
      <form ref={submit.form} noValidate autoComplete="off" onKeyDown={submit.onKeyDown} onSubmit={(e) => (e.preventDefault(), void go())}>
        <Stack gap="sm">
          {s?.managedBy ? <Text size="sm" className="warn">{shell('managedBy', { file: s.managedBy })}</Text> : null}
          <Wrong of={submit} fields={fields} />
          {s ? null : <TextInput label={shared('name')} data-field="name" data-autofocus required autoComplete="off" spellCheck={false} placeholder={t('nameHint')} value={name} error={submit.at('name')} onChange={(e) => setName(e.currentTarget.value.trim())} />}
          <fieldset className={classes.fieldset}>
            <legend>{t('provider')}</legend>
            <SegmentedControl aria-label={t('provider')} value={kind} data={offered.map((k) => ({ value: k, label: t(`provider_${k}`) }))} onChange={(k) => setKind(k as Provider)} />
            <span className="dim">{t(`provider_${kind}_hint`)}</span>
          </fieldset>
          {stored ? (
            s ? null : (
              <ValueInput label={t('value')} value={value} error={submit.at('value')} onChange={setValue} />
            )
          ) : (
            <>
              <TextInput
                label={t(`place_${kind}`)}
                data-field="reference"
                required
                autoComplete="off"
                spellCheck={false}
                classNames={{ input: 'mono' }}
                placeholder={t(`place_${kind}_hint`)}
                value={place}
                error={submit.at('reference')}
                onChange={(e) => setPlace(e.currentTarget.value)}
              />
              {s && !s.reference ? <span className="warn">{t('valueGone')}</span> : null}
            </>
          )}
          <TextInput label={t('note')} data-field="description" value={description} error={submit.at('description')} onChange={(e) => setDescription(e.currentTarget.value)} />
          <Buttons of={submit} action={s ? shell('save') : shared('create')} onClose={onClose} />
        </Stack>
      </form>
    </Drawer>
  );
}

/** A field for a value that nobody reads again: it can be looked at while it is typed, and never afterwards. */
export function ValueInput({ label, value, error, onChange, autoFocus }: { label: string; value: string; error: string | undefined; onChange: (value: string) => void; autoFocus?: boolean }) {
  return (
    <PasswordInput
      label={label}
      description={t('valueHint')}
      inputWrapperOrder={['label', 'input', 'description', 'error']}
      data-field="value"
      data-autofocus={autoFocus || undefined}
      data-1p-ignore
      required
      autoComplete="off"
      spellCheck={false}
      value={value}
      error={error}
      visibilityToggleButtonProps={{ 'aria-label': t('reveal') }}
      onChange={(e) => onChange(e.currentTarget.value)}
    />
  );
}
