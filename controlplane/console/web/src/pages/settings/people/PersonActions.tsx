import { ActionIcon, Button, Drawer, Group, Menu, Modal, Stack, Text, TextInput, Tooltip } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconDots, IconLink, IconPencil, IconTrash, IconUserCheck, IconUserOff } from '@tabler/icons-react';
import { useRef, useState } from 'react';
import { useCaller } from '@/api/caller';
import { clientOf, refresh } from '@/api/client';
import { problemOf } from '@/api/errors';
import { Confirm } from '@/components/Confirm';
import { ShownOnce, useShownOnce } from '@/components/ShownOnce';
import { type Person, PersonService, Role } from '@/gen/tollgate/control/v1/person_pb';
import { Buttons, useSubmit, Wrong } from '@/pages/access/submit';
import { t } from '@/text/people';
import { t as shell } from '@/text/shell';
import { RoleField } from './roles';

const people = clientOf(PersonService);
type Doing = 'edit' | 'link' | 'disable' | 'remove';

/** What can be done with one person. */
export function PersonActions({ person: p }: { person: Person }) {
  const { caller } = useCaller();
  const [doing, setDoing] = useState<Doing>();
  const close = () => setDoing(undefined);
  const self = caller.person?.id === p.id;
  const enable = async () => {
    try {
      await people.updatePerson({ person: p.id, disabled: false, etag: p.etag });
      await refresh(PersonService);
    } catch (err) {
      notifications.show({ color: 'red', message: problemOf(err).message });
    }
  };
  return (
    <>
      <Menu>
        <Menu.Target>
          <Tooltip label={shell('more')}>
            <ActionIcon aria-label={t('actions', { name: p.email })}>
              <IconDots size={16} aria-hidden />
            </ActionIcon>
          </Tooltip>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item leftSection={<IconPencil size={16} aria-hidden />} onClick={() => setDoing('edit')}>
            {t('edit')}
          </Menu.Item>
          <Menu.Item leftSection={<IconLink size={16} aria-hidden />} disabled={p.disabled} onClick={() => setDoing('link')}>
            {t('link')}
          </Menu.Item>
          {p.disabled ? (
            <Menu.Item leftSection={<IconUserCheck size={16} aria-hidden />} onClick={() => void enable()}>
              {t('enable')}
            </Menu.Item>
          ) : (
            <Menu.Item leftSection={<IconUserOff size={16} aria-hidden />} disabled={self} onClick={() => setDoing('disable')}>
              {t('disable')}
            </Menu.Item>
          )}
          <Menu.Divider />
          <Menu.Item leftSection={<IconTrash size={16} aria-hidden />} className="bad" disabled={self} onClick={() => setDoing('remove')}>
            {t('remove')}
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {doing === 'edit' ? <EditPerson person={p} onClose={close} /> : null}
      {doing === 'link' ? <LinkFor person={p} onClose={close} /> : null}
      {doing === 'disable' ? (
        <Confirm
          title={t('disableTitle', { email: p.email })}
          action={t('disable')}
          onClose={close}
          run={async () => {
            await people.updatePerson({ person: p.id, disabled: true, etag: p.etag });
            await refresh(PersonService);
          }}
        >
          {t('disableText')}
        </Confirm>
      ) : null}
      {doing === 'remove' ? (
        <Confirm
          title={t('removeTitle', { email: p.email })}
          action={t('remove')}
          typed={p.signInTime ? p.email : undefined}
          onClose={close}
          run={async () => {
            await people.deletePerson({ person: p.id, etag: p.etag });
            await refresh(PersonService);
          }}
        >
          {t('removeText')}
        </Confirm>
      ) : null}
    </>
  );
}

function EditPerson({ person: p, onClose }: { person: Person; onClose: () => void }) {
  const { caller } = useCaller();
  const [name, setName] = useState(p.name);
  const [role, setRole] = useState<Role>(p.role);
  const submit = useSubmit(['name', 'role']);
  const owner = caller.person?.role === Role.OWNER || caller.token === 'admin' || p.role === Role.OWNER;
  const go = async () => {
    const done = await submit.send(async () => {
      await people.updatePerson({ person: p.id, name: name.trim(), role, etag: p.etag });
      await refresh(PersonService);
    });
    if (done) onClose();
  };
  return (
    <Drawer opened onClose={onClose} size="min(520px, 100vw)" title={<Text fw={600} component="span">{t('editTitle', { email: p.email })}</Text>} closeButtonProps={{ 'aria-label': shell('close') }}>
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
          <Wrong of={submit} fields={['name', 'role']} />
          <TextInput data-autofocus data-field="name" label={t('name')} autoComplete="off" value={name} error={submit.at('name')} onChange={(e) => setName(e.currentTarget.value)} />
          <RoleField value={role} onChange={setRole} error={submit.at('role')} withOwner={owner} />
          <Buttons of={submit} action={t('save')} onClose={onClose} />
        </Stack>
      </form>
    </Drawer>
  );
}

function LinkFor({ person: p, onClose }: { person: Person; onClose: () => void }) {
  const [link, setLink] = useState('');
  const once = useShownOnce(!!link, onClose);
  // The question closes once it is answered, and the answer stays.
  const made = useRef(false);
  const make = async () => {
    const res = await people.createSignInLink({ person: p.id });
    made.current = true;
    setLink(res.link);
  };
  if (!link) {
    return (
      <Confirm title={t('makeLinkTitle', { email: p.email })} action={t('makeLink')} danger={false} onClose={() => made.current || onClose()} run={make}>
        {t('linkText')}
      </Confirm>
    );
  }
  return (
    <Modal opened onClose={once.close} size="lg" title={<Text fw={600} component="span">{t('linkMade', { email: p.email })}</Text>} closeButtonProps={{ 'aria-label': shell('close') }}>
      <Stack gap="md">
        <ShownOnce label={t('link')} text={t('linkOnce30')} secrets={[{ name: '', value: link }]} onTaken={once.taken} />
        <Group justify="flex-end">
          <Button variant="default" onClick={once.close}>
            {t('done')}
          </Button>
        </Group>
        {once.question}
      </Stack>
    </Modal>
  );
}
