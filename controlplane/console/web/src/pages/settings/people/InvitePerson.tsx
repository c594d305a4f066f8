import { Button, Drawer, Group, Stack, Text, TextInput } from '@mantine/core';
import { useState } from 'react';
import { useCaller } from '@/api/caller';
import { clientOf, refresh } from '@/api/client';
import { ShownOnce, useShownOnce } from '@/components/ShownOnce';
import { PersonService, Role } from '@/gen/tollgate/control/v1/person_pb';
import { Buttons, useSubmit, Wrong } from '@/pages/access/submit';
import { t } from '@/text/people';
import { t as shell } from '@/text/shell';
import { RoleField } from './roles';

const fields = ['email', 'name', 'role'];

/** Lets somebody sign in, by a link that is shown once. */
export function InvitePerson({ onClose }: { onClose: () => void }) {
  const { caller } = useCaller();
  const [made, setMade] = useState<{ email: string; link: string }>();
  const [person, setPerson] = useState({ email: '', name: '', role: Role.VIEWER as Role });
  const submit = useSubmit(fields);
  const once = useShownOnce(!!made?.link, onClose);
  const set = (more: Partial<typeof person>) => setPerson((p) => ({ ...p, ...more }));
  const said = (f: string) => submit.at(f) ?? submit.at(`person.${f}`);
  const taken = submit.problem && !submit.problem.violations.length ? submit.problem.message : undefined;
  const go = () =>
    submit.send(
      async () => {
        const { link } = await clientOf(PersonService).createPerson({ person: { ...person, email: person.email.trim(), name: person.name.trim() } });
        void refresh(PersonService);
        // Who signs in with a provider needs no link.
        if (link) setMade({ email: person.email.trim(), link });
        else onClose();
      },
      person.email.trim() ? [] : [{ field: 'email', code: 'required', text: t('emailMissing') }],
    );
  return (
    <Drawer opened onClose={made ? once.close : onClose} size="min(520px, 100vw)" title={<Text fw={600} component="span">{made ? t('linkMade', { email: made.email }) : t('inviteTitle')}</Text>} closeButtonProps={{ 'aria-label': shell('close') }}>
      {made ? (
        <Stack gap="md">
          <ShownOnce label={t('link')} text={t('linkOnce')} secrets={[{ name: '', value: made.link }]} onTaken={once.taken} />
          <Group justify="flex-end">
            <Button variant="default" onClick={once.close}>
              {t('done')}
            </Button>
          </Group>
          {once.question}
        </Stack>
      ) : (
        <form
          ref={submit.form}
          noValidate
          onKeyDown={submit.onKeyDown}
          onSubmit={(e) => {
            e.preventDefault();
            void go();
          }}
        >
          <Stack gap="md">
            {taken ? null : <Wrong of={submit} fields={[...fields, ...fields.map((f) => `person.${f}`)]} />}
            <TextInput data-autofocus data-field="email" type="email" label={t('email')} required autoComplete="off" value={person.email} error={said('email') ?? taken} onChange={(e) => set({ email: e.currentTarget.value })} />
            <TextInput data-field="name" label={t('nameOptional')} autoComplete="off" value={person.name} error={said('name')} onChange={(e) => set({ name: e.currentTarget.value })} />
            <RoleField value={person.role} onChange={(role) => set({ role })} error={said('role')} withOwner={caller.person?.role === Role.OWNER || caller.token === 'admin'} />
            <Buttons of={submit} action={t('inviteAction')} onClose={onClose} />
          </Stack>
        </form>
      )}
    </Drawer>
  );
}
