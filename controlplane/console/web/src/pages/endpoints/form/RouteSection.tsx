import { Group, MultiSelect, Radio, Stack, TextInput } from '@mantine/core';
import { useState } from 'react';
import { Section } from '@/components/Page';
import { MatchKind } from '@/gen/tollgate/control/v1/endpoint_pb';
import { t } from '@/text/endpoint-form';
import { useForm } from './context';
import { examples } from './examples';
import { Field } from './Field';
import { nameOfPath, normalPath, type PathNote } from './path';
import { Probe } from './Probe';
import classes from './RouteSection.module.css';

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
const noteText: Record<PathNote, string> = { gateway: t('noteGateway'), slashAdded: t('noteSlashAdded'), slashesJoined: t('noteSlashesJoined'), slashDropped: t('noteSlashDropped') };

/** Where requests come in and where they go. */
export function RouteSection() {
  const form = useForm();
  const { draft } = form;
  return (
    <Section title={t('route')}>
      <PathField />
      {draft.models && !draft.targets.length ? null : <TargetField />}
      <Field field="match" label={t('match')}>
        {(bound) => (
          <Radio.Group
            value={String(draft.match || MatchKind.PREFIX)}
            onChange={(v) => form.change((e) => void (e.match = Number(v)))}
            aria-label={t('match')}
            data-field="match"
          >
            <Stack gap={6} pt={8}>
              <Radio id={bound.id} disabled={form.disabled} value={String(MatchKind.PREFIX)} label={t('matchPrefix')} />
              <Radio disabled={form.disabled} value={String(MatchKind.EXACT)} label={t('matchExact')} />
            </Stack>
          </Radio.Group>
        )}
      </Field>
      <div className={classes.pair}>
        <Field field="methods" label={t('methods')}>
          {(bound) => (
            <MultiSelect
              {...bound}
              data={[...new Set([...methods, ...draft.methods])]}
              value={draft.methods}
              onChange={(v) => form.change((e) => void (e.methods = v))}
              placeholder={draft.methods.length ? undefined : t('allMethods')}
              searchable
              clearable={draft.methods.length > 0 && !form.disabled}
              clearButtonProps={{ 'aria-label': t('clearMethods') }}
              hidePickedOptions
            />
          )}
        </Field>
        <NameField />
      </div>
    </Section>
  );
}

function PathField() {
  const form = useForm();
  const [typed, setTyped] = useState<string | undefined>(undefined);
  const [notes, setNotes] = useState<PathNote[]>([]);
  const type = (text: string) => {
    const next = normalPath(text, form.gateway);
    setTyped(text);
    setNotes(next.notes);
    form.change((e) => {
      const follows = !form.base && (!e.name || e.name === nameOfPath(e.path));
      e.path = next.path;
      if (follows) e.name = nameOfPath(next.path);
    });
  };
  // A slash before the path needs no words; the rest is something that the person has typed and that is not there any more.
  const said = notes.filter((n) => n !== 'slashAdded' || typed === undefined);
  return (
    <Field field="path" label={t('path')} required hint={said.length ? said.map((n) => noteText[n]).join(' ') : undefined}>
      {(bound) => (
        <div className={classes.adorned}>
          {form.gateway ? (
            <span className={`mono clip ${classes.gateway}`} title={form.gateway}>
              {form.gateway.replace(/^https?:\/\//, '')}
            </span>
          ) : null}
          <TextInput
            {...bound}
            className={classes.grow}
            classNames={{ input: 'mono' }}
            value={typed ?? form.draft.path}
            onChange={(e) => type(e.currentTarget.value)}
            onBlur={() => {
              setTyped(undefined);
              bound.onBlur();
            }}
            placeholder={examples.path}
            autoComplete="off"
            autoCapitalize="off"
            spellCheck={false}
            data-autofocus={form.base ? undefined : true}
            autoFocus={!form.base}
            required
          />
        </div>
      )}
    </Field>
  );
}

function TargetField() {
  const form = useForm();
  const url = form.draft.targets[0]?.url ?? '';
  return (
    <Field
      field="targets[0].url"
      label={form.draft.targets.length > 1 ? t('targetFirst', { n: form.draft.targets.length }) : t('target')}
      required
      notes={<Probe url={url} endpoint={form.base?.name ?? ''} onSuggestion={(to) => form.change((e) => void (e.targets[0]!.url = to))} />}
    >
      {(bound) => (
        <TextInput
          {...bound}
          classNames={{ input: 'mono' }}
          type="url"
          inputMode="url"
          value={url}
          onChange={(e) => {
            const text = e.currentTarget.value;
            form.change((d) => {
              if (d.targets[0]) d.targets[0].url = text;
            });
          }}
          placeholder={examples.target}
          autoComplete="off"
          spellCheck={false}
          required
        />
      )}
    </Field>
  );
}

function NameField() {
  const form = useForm();
  const renamed = form.base && form.base.name !== form.draft.name;
  return (
    <Field field="name" label={t('name')} required hint={renamed ? t('renamed', { name: form.base!.name }) : undefined}>
      {(bound) => (
        <Group gap={0}>
          <TextInput
            {...bound}
            style={{ flex: 1 }}
            value={form.draft.name}
            onChange={(e) => {
              const text = e.currentTarget.value;
              form.change((d) => void (d.name = text));
            }}
            placeholder={examples.name}
            autoComplete="off"
            spellCheck={false}
            maxLength={63}
            required
          />
        </Group>
      )}
    </Field>
  );
}
