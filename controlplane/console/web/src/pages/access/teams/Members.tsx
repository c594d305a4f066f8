import { ActionIcon, Autocomplete, Button, Group, NativeSelect, Table, Tooltip } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQuery } from '@connectrpc/connect-query';
import { IconX } from '@tabler/icons-react';
import { useState } from 'react';
import { clientOf, refresh } from '@/api/client';
import { Permission, useCaller } from '@/api/caller';
import { useOnline } from '@/app/Offline';
import { Section } from '@/components/Page';
import { PersonService, TeamRole } from '@/gen/tollgate/control/v1/person_pb';
import { type Team, type TeamMember, TeamService } from '@/gen/tollgate/control/v1/team_pb';
import { t as shell } from '@/text/shell';
import { t } from '@/text/teams';
import classes from '../Access.module.css';
import { complain } from '../keys/actions';
import { useSubmit, Wrong } from '../submit';

const calls = clientOf(TeamService);
const roles = [TeamRole.MEMBER, TeamRole.ADMIN];
const roleData = roles.map((r) => ({ value: String(r), label: t(`role_${TeamRole[r] as 'ADMIN'}`) }));

/** Who belongs to a team, and what they may do in it. */
export function Members({ of: team, mayWrite }: { of: Team; mayWrite: boolean }) {
  return (
    <Section title={t('members')}>
      {team.members.length ? (
        <Table verticalSpacing={6} horizontalSpacing={0} className={classes.dimTable}>
          <Table.Thead className="visually-hidden">
            <Table.Tr>
              <Table.Th>{t('person')}</Table.Th>
              <Table.Th>{t('role')}</Table.Th>
              <Table.Th>
                <span className="visually-hidden">{shell('more')}</span>
              </Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {team.members.map((m) => (
              <Row key={m.personId} team={team} member={m} mayWrite={mayWrite} />
            ))}
          </Table.Tbody>
        </Table>
      ) : (
        <div className={`dim ${classes.hint}`}>{t('noMembers')}</div>
      )}
      {mayWrite ? <AddMember team={team} /> : null}
    </Section>
  );
}

function Row({ team, member: m, mayWrite }: { team: Team; member: TeamMember; mayWrite: boolean }) {
  const online = useOnline();
  const remove = async () => {
    try {
      await calls.removeTeamMember({ team: team.id, person: m.personId });
      notifications.show({ message: t('removed', { person: m.email, team: team.name }), autoClose: 4000 });
    } catch (err) {
      complain(err);
    }
    await refresh(TeamService, PersonService);
  };
  const setRole = async (role: TeamRole) => {
    try {
      await calls.setTeamMember({ team: team.id, person: m.personId, role });
    } catch (err) {
      complain(err);
    }
    await refresh(TeamService, PersonService);
  };
  return (
    <Table.Tr>
      <Table.Td className="wrap">{m.email}</Table.Td>
      <Table.Td w={110}>
        {mayWrite ? (
          <NativeSelect size="xs" aria-label={t('roleOf', { person: m.email })} data={roleData} value={String(m.role)} disabled={!online} onChange={(e) => void setRole(Number(e.currentTarget.value))} />
        ) : (
          t(`role_${TeamRole[m.role] as 'ADMIN'}`)
        )}
      </Table.Td>
      <Table.Td w={36} className="num">
        {mayWrite ? (
          <Tooltip label={t('remove')}>
            <ActionIcon size={24} aria-label={t('removeOf', { person: m.email })} disabled={!online} onClick={() => void remove()}>
              <IconX size={14} aria-hidden />
            </ActionIcon>
          </Tooltip>
        ) : null}
      </Table.Td>
    </Table.Tr>
  );
}

function AddMember({ team }: { team: Team }) {
  const { may } = useCaller();
  const [person, setPerson] = useState('');
  const [role, setRole] = useState(TeamRole.MEMBER);
  const submit = useSubmit(['person']);
  const people = useQuery(PersonService.method.listPeople, { pageSize: 200 }, { enabled: may(Permission.PEOPLE_READ) });
  const inTeam = new Set(team.members.map((m) => m.email));
  const go = () =>
    submit.send(
      async () => {
        await calls.setTeamMember({ team: team.id, person: person.trim(), role });
        setPerson('');
        await refresh(TeamService, PersonService);
      },
      person.trim() ? [] : [{ field: 'person', code: 'required', text: t('personMissing') }],
    );
  return (
    <form ref={submit.form} onSubmit={(e) => (e.preventDefault(), void go())} className={classes.addForm}>
      <Wrong of={submit} fields={['person']} />
      <Group gap={8} align="flex-start" wrap="nowrap">
        <Autocomplete
          size="xs"
          flex={1}
          aria-label={t('person')}
          data-field="person"
          placeholder={t('personHint')}
          data={(people.data?.people ?? []).map((p) => p.email).filter((e) => !inTeam.has(e))}
          value={person}
          error={submit.at('person')}
          onChange={setPerson}
        />
        <NativeSelect size="xs" w={100} aria-label={t('role')} data={roleData} value={String(role)} onChange={(e) => setRole(Number(e.currentTarget.value))} />
        <Button type="submit" variant="default" loading={submit.busy}>
          {t('add')}
        </Button>
      </Group>
    </form>
  );
}
