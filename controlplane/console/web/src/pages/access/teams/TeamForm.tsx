import { Drawer, SegmentedControl, Stack, TagsInput, Text, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useState } from 'react';
import { clientOf } from '@/api/client';
import { type Team, TeamService } from '@/gen/tollgate/control/v1/team_pb';
import { t as shared } from '@/text/access';
import { t } from '@/text/teams';
import { t as shell } from '@/text/shell';
import classes from '../Access.module.css';
import { anyway, refreshKeys } from '../keys/actions';
import { EndpointsField } from '../keys/KeyFields';
import { Buttons, useSubmit, Wrong } from '../submit';

const calls = clientOf(TeamService);
const fields = ['name', 'description', 'endpoints', 'models', 'metadata'];
const nameForm = /^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$/;

/** Makes a team, or changes what one is and what its keys may do at most. */
export function TeamForm({ of: team, onClose, onDone }: { of?: Team; onClose: () => void; onDone: (t: Team) => void }) {
  const submit = useSubmit(fields);
  const [draft, setDraft] = useState({ name: team?.name ?? '', description: team?.description ?? '', restricted: team?.restricted ?? false, endpoints: team?.endpoints ?? [], models: team?.models ?? [] });
  const set = (change: Partial<typeof draft>) => setDraft((d) => ({ ...d, ...change }));
  const name = draft.name.trim();
  const go = () =>
    submit.send(
      async () => {
        const request = { ...draft, name, endpoints: draft.restricted ? draft.endpoints : [] };
        let done: Team;
        if (team) {
          const now = { ...draft, name } as Record<string, unknown>;
          const before = team as unknown as Record<string, unknown>;
          const paths = ['name', 'description', 'endpoints', 'restricted', 'models'].filter((f) => JSON.stringify(now[f]) !== JSON.stringify(before[f]));
          if (!paths.length) return onClose();
          done = (await calls.updateTeam({ ...request, team: team.id, etag: team.etag, updateMask: { paths } }, anyway(team))).team!;
        } else done = (await calls.createTeam(request)).team!;
        await refreshKeys();
        notifications.show({ message: t(team ? 'saved' : 'made', { name: done.name }), autoClose: 3000 });
        onDone(done);
      },
      name && nameForm.test(name) ? [] : [{ field: 'name', code: 'name', text: name ? shared('nameForm') : t('nameMissing') }],
    );
  return (
    <Drawer opened onClose={onClose} size="min(520px, 100vw)" title={<Text fw={600} component="span">{team ? t('editTitle', { name: team.name }) : t('create')}</Text>} closeButtonProps={{ 'aria-label': shell('close') }}>
      <form ref={submit.form} noValidate onKeyDown={submit.onKeyDown} onSubmit={(e) => (e.preventDefault(), void go())}>
        <Stack gap="sm">
          {team?.managedBy ? <Text size="sm" className="warn">{shell('managedBy', { file: team.managedBy })}</Text> : null}
          <Wrong of={submit} fields={fields} />
          <TextInput label={shared('name')} data-field="name" data-autofocus required autoComplete="off" spellCheck={false} placeholder={t('nameHint')} value={draft.name} error={submit.at('name')} onChange={(e) => set({ name: e.currentTarget.value })} />
          <TextInput label={shared('description')} data-field="description" value={draft.description} error={submit.at('description')} onChange={(e) => set({ description: e.currentTarget.value })} />
          <fieldset className={classes.fieldset}>
            <legend>{t('mayCall')}</legend>
            <SegmentedControl
              aria-label={t('mayCall')}
              value={draft.restricted ? 'some' : 'all'}
              data={[
                { value: 'all', label: t('whatEachMay') },
                { value: 'some', label: t('onlySome') },
              ]}
              onChange={(v) => set({ restricted: v === 'some' })}
            />
            {draft.restricted ? (
              <EndpointsField label={shared('canCall')} value={draft.endpoints} placeholder={shared('chooseEndpoints')} description={draft.endpoints.length ? t('atMostThese') : t('noneChosen')} error={submit.at('endpoints')} onChange={(endpoints) => set({ endpoints })} />
            ) : null}
          </fieldset>
          <TagsInput
            label={shared('models')}
            data-field="models"
            description={shared('modelsHint')}
            inputWrapperOrder={['label', 'input', 'description', 'error']}
            placeholder={draft.models.length ? undefined : shared('allModels')}
            splitChars={[',', ' ']}
            clearable
            clearButtonProps={{ 'aria-label': shared('clear') }}
            value={draft.models}
            error={submit.at('models')}
            onChange={(models) => set({ models })}
          />
          <Buttons of={submit} action={team ? shell('save') : shared('create')} onClose={onClose} />
        </Stack>
      </form>
    </Drawer>
  );
}
