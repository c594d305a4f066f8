import { Drawer, SegmentedControl, Stack, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useBlocker } from '@tanstack/react-router';
import { useState } from 'react';
import { clientOf } from '@/api/client';
import { problemOf } from '@/api/errors';
import { zone } from '@/app/preferences';
import { Confirm } from '@/components/Confirm';
import { type Choice, Conflict } from '@/components/Conflict';
import { type Key, KeyService } from '@/gen/tollgate/control/v1/key_pb';
import { absolute, zoneId } from '@/lib/time';
import { t } from '@/text/access';
import { t as conflict } from '@/text/conflict';
import { t as shell } from '@/text/shell';
import classes from '../Access.module.css';
import { anyway, refreshKeys } from '../keys/actions';
import { type Draft, differing, draftOf, editableFields, type Field, expiry, updateRequest, withField } from '../keys/draft';
import { EndpointsField, ExpiryField, MoreFields, TeamField } from '../keys/KeyFields';
import { Buttons, useSubmit, Wrong } from '../submit';

const calls = clientOf(KeyService);
const fields = ['team', 'endpoints', 'expire_time', 'description', 'models', 'methods', 'networks', 'tags', 'customer', 'metadata'];

/** Changes a key's settings. Only what was changed here is sent, and what somebody else changed meanwhile is shown beside it. */
export function EditKey({ of: k, onClose }: { of: Key; onClose: () => void }) {
  const z = zone.use();
  const timeZone = zoneId(z);
  const [from, setFrom] = useState(k);
  const base = draftOf(from, timeZone);
  const [draft, setDraft] = useState<Draft>(base);
  const [theirs, setTheirs] = useState<Key>();
  const [leaving, setLeaving] = useState(false);
  const submit = useSubmit(fields);
  const dirty = differing(base, draft).length > 0;
  const block = useBlocker({ shouldBlockFn: ({ current, next }) => dirty && !submit.busy && current.pathname !== next.pathname, enableBeforeUnload: () => dirty, withResolver: true });
  const set = (change: Partial<Draft>) => setDraft((d) => ({ ...d, ...change }));
  const close = () => (dirty ? setLeaving(true) : onClose());
  const store = async (as: Key, before: Draft, d: Draft) => {
    const request = updateRequest(as, before, d, Date.now(), timeZone);
    if (request) {
      await calls.updateKey(request, anyway(as));
      await refreshKeys();
      notifications.show({ message: t('savedKey', { name: k.name }), autoClose: 3000 });
    }
    onClose();
  };
  const go = () =>
    submit.send(
      async () => {
        try {
          await store(from, base, draft);
        } catch (err) {
          if (problemOf(err).code !== 'stale_etag') throw err;
          setTheirs((await calls.getKey({ key: k.id })).key);
        }
      },
      draft.expires === 'date' && !draft.date ? [{ field: 'expire_time', code: 'required', text: t('dateMissing') }] : [],
    );
  const told = (d: Draft, f: Field): string => {
    switch (f) {
      case 'endpoints':
        return d.restricted ? d.endpoints.join(', ') || t('nothing') : t('everyEndpoint');
      case 'expire_time': {
        const at = expiry(d, Date.now(), timeZone);
        return at === undefined ? t('never') : absolute(at, z);
      }
      case 'team':
      case 'customer':
      case 'description':
        return d[f];
      default:
        return d[f].join(', ');
    }
  };
  const label: Record<Field, string> = {
    description: t('description'),
    team: t('team'),
    customer: t('customer'),
    endpoints: t('canCall'),
    models: t('models'),
    methods: t('methods'),
    networks: t('networks'),
    tags: t('tags'),
    expire_time: t('expires'),
  };
  if (theirs) {
    const their = draftOf(theirs, timeZone);
    const ours = new Set(differing(base, draft));
    const changed = new Set(differing(base, their));
    const shown = editableFields.filter((f) => ours.has(f) || changed.has(f));
    return (
      <Conflict
        who={conflict('changed')}
        fields={shown.map((f) => ({ field: f, label: label[f], base: told(base, f), theirs: told(their, f), mine: told(draft, f), both: ours.has(f) && changed.has(f), taken: changed.has(f) ? 'theirs' : 'mine' }))}
        onResolve={async (choices: Record<string, Choice>) => {
          const merged = shown.reduce((d, f) => (choices[f] === 'mine' ? withField(d, f, draft) : d), their);
          setFrom(theirs);
          setDraft(merged);
          setTheirs(undefined);
          await submit.send(() => store(theirs, their, merged));
        }}
        onClose={() => setTheirs(undefined)}
      />
    );
  }
  return (
    <Drawer opened onClose={close} size="min(560px, 100vw)" title={<Text fw={600} component="span">{t('editTitle', { name: k.name })}</Text>} closeButtonProps={{ 'aria-label': shell('close') }}>
      <form ref={submit.form} noValidate onKeyDown={submit.onKeyDown} onSubmit={(e) => (e.preventDefault(), void go())}>
        <Stack gap="sm">
          {k.managedBy ? <Text size="sm" className="warn">{shell('managedBy', { file: k.managedBy })}</Text> : null}
          <Wrong of={submit} fields={fields} />
          <TeamField draft={draft} set={set} submit={submit} />
          <fieldset className={classes.fieldset}>
            <legend>{t('restrictedTo')}</legend>
            <SegmentedControl
              aria-label={t('restrictedTo')}
              value={draft.restricted ? 'some' : 'all'}
              data={[
                { value: 'all', label: t('everyEndpoint') },
                { value: 'some', label: t('someEndpoints') },
              ]}
              onChange={(v) => set({ restricted: v === 'some' })}
            />
            {draft.restricted ? (
              <EndpointsField label={t('canCall')} value={draft.endpoints} placeholder={t('chooseEndpoints')} description={draft.endpoints.length ? t('onlyThese') : t('noneChosen')} error={submit.at('endpoints')} onChange={(endpoints) => set({ endpoints })} />
            ) : null}
          </fieldset>
          <ExpiryField draft={draft} set={set} submit={submit} />
          <MoreFields draft={draft} set={set} submit={submit} />
          <Buttons of={submit} action={shell('save')} onClose={close} />
        </Stack>
      </form>
      {leaving || block.status === 'blocked' ? (
        <Confirm
          title={t('leaveTitle')}
          action={t('leaveAction')}
          danger={false}
          run={() => {
            setLeaving(false);
            if (block.status === 'blocked') block.proceed();
            else onClose();
            return Promise.resolve();
          }}
          onClose={() => {
            setLeaving(false);
            if (block.status === 'blocked') block.reset();
          }}
        >
          {t('leaveText')}
        </Confirm>
      ) : null}
    </Drawer>
  );
}
