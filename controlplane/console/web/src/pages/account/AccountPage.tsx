import { Button, PasswordInput, Stack, Table, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation, useQuery } from '@connectrpc/connect-query';
import { type FormEvent, useState } from 'react';
import { useCaller } from '@/api/caller';
import { refresh } from '@/api/client';
import { problemOf, violationsOf } from '@/api/errors';
import { Page, Section } from '@/components/Page';
import { Failure, Region } from '@/components/Region';
import { Chip } from '@/components/Status';
import { At, When } from '@/components/When';
import { AccountService } from '@/gen/tollgate/control/v1/account_pb';
import { TeamRole } from '@/gen/tollgate/control/v1/person_pb';
import { roleName } from '@/pages/settings/people/roles';
import { t } from '@/text/account';
import { NewPassword } from './NewPassword';

/** A person's own: password, sessions, teams. */
export function AccountPage() {
  const { caller, name, teams } = useCaller();
  return (
    <Page title={t('yourAccount')} heading={name} beside={caller.person ? <Chip>{roleName(caller.person.role)}</Chip> : null} copy={{ cli: 'tollgate whoami', call: { method: AccountService.method.getCaller, input: {} } }}>
      {caller.person ? (
        <>
          <Password has={caller.person.hasPassword} />
          <Sessions />
        </>
      ) : (
        <Text>{t('program')}</Text>
      )}
      <Section title={t('teams')}>
        {teams.length ? (
          teams.map((m) => (
            <Text key={m.team} size="sm">
              {m.team} <span className="dim">{t(m.role === TeamRole.ADMIN ? 'teamAdmin' : 'teamMember')}</span>
            </Text>
          ))
        ) : (
          <Text size="sm" className="dim">
            {t('noTeams')}
          </Text>
        )}
      </Section>
    </Page>
  );
}

function Password({ has }: { has: boolean }) {
  const [old, setOld] = useState('');
  const [next, setNext] = useState('');
  const change = useMutation(AccountService.method.changePassword);
  const problem = change.error ? problemOf(change.error) : undefined;
  const submit = (e: FormEvent) => {
    e.preventDefault();
    change.mutate(
      { oldPassword: old, newPassword: next },
      {
        onSuccess: () => {
          setOld('');
          setNext('');
          notifications.show({ message: t('passwordChanged') });
          void refresh(AccountService);
        },
      },
    );
  };
  return (
    <Section title={t('changePassword')}>
      <form onSubmit={submit}>
        <Stack gap="sm" maw={400}>
          {change.error && !problem?.violations.length ? <Failure error={change.error} /> : null}
          {has ? (
            <PasswordInput label={t('oldPassword')} autoComplete="current-password" required withAsterisk={false} value={old} error={violationsOf(problem, 'old_password')[0]?.text} onChange={(e) => setOld(e.currentTarget.value)} />
          ) : null}
          <NewPassword value={next} onChange={setNext} error={violationsOf(problem, 'new_password')[0]?.text} />
          <Button type="submit" loading={change.isPending} style={{ alignSelf: 'flex-start' }}>
            {t('changePassword')}
          </Button>
        </Stack>
      </form>
    </Section>
  );
}

function Sessions() {
  const sessions = useQuery(AccountService.method.listSessions, {});
  const end = useMutation(AccountService.method.endSession, { onSuccess: () => refresh(AccountService) });
  return (
    <Section title={t('sessions')} flush>
      <Region query={sessions} skeleton={3}>
        {(data) => (
          <Table.ScrollContainer minWidth={620}>
            <Table verticalSpacing={8} horizontalSpacing="md">
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>{t('agent')}</Table.Th>
                  <Table.Th>{t('address')}</Table.Th>
                  <Table.Th>{t('began')}</Table.Th>
                  <Table.Th>{t('used')}</Table.Th>
                  <Table.Th>{t('expires')}</Table.Th>
                  <Table.Th>
                    <span className="visually-hidden">{t('end')}</span>
                  </Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {data.sessions.map((s) => (
                  <Table.Tr key={s.id}>
                    <Table.Td className="wrap" maw={320}>
                      {s.agent} {s.current ? <Chip tone="ok">{t('thisSession')}</Chip> : null}
                    </Table.Td>
                    <Table.Td className="mono">{s.address}</Table.Td>
                    <Table.Td>
                      <When at={s.createTime} />
                    </Table.Td>
                    <Table.Td>
                      <When at={s.useTime} />
                    </Table.Td>
                    <Table.Td>
                      <At at={s.expireTime} />
                    </Table.Td>
                    <Table.Td>
                      {s.current ? null : (
                        <Button variant="default" size="compact-xs" aria-label={t('endSession', { agent: s.agent })} onClick={() => end.mutate({ session: s.id })}>
                          {t('end')}
                        </Button>
                      )}
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        )}
      </Region>
    </Section>
  );
}
