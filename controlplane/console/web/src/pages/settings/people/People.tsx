import { Button, Group } from '@mantine/core';
import { useInfiniteQuery } from '@connectrpc/connect-query';
import { IconUserPlus } from '@tabler/icons-react';
import { getRouteApi } from '@tanstack/react-router';
import { useCallback, useMemo } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { problemOf } from '@/api/errors';
import { useKeys } from '@/app/keys';
import { type Column, DataTable } from '@/components/DataTable';
import { FilterInput } from '@/components/FilterInput';
import { Section } from '@/components/Page';
import { NoMatch, Region } from '@/components/Region';
import { Chip, Status } from '@/components/Status';
import { When } from '@/components/When';
import { type Person, PersonService } from '@/gen/tollgate/control/v1/person_pb';
import { list } from '@/lib/text';
import { t } from '@/text/people';
import { t as settings } from '@/text/settings';
import { InvitePerson } from './InvitePerson';
import { PersonActions } from './PersonActions';
import { roleName } from './roles';
import { SignIn } from './SignIn';

const route = getRouteApi('/settings/$section');

/** Who may sign in, and what they may do. */
export default function People() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { caller, may } = useCaller();
  const write = may(Permission.PEOPLE_WRITE);
  const query = useInfiniteQuery(
    PersonService.method.listPeople,
    { pageSize: 200, pageToken: '', filter: search.q ?? '' },
    { pageParamKey: 'pageToken', getNextPageParam: (last) => last.nextPageToken || undefined, placeholderData: (before) => before },
  );
  const rows = useMemo(() => query.data?.pages.flatMap((p) => p.people) ?? [], [query.data]);
  const setFilter = useCallback((q: string | undefined) => void navigate({ search: (s) => ({ ...s, q }), replace: true }), [navigate]);
  const invite = (on: boolean) => void navigate({ search: (s) => ({ ...s, new: on || undefined }), replace: !on });
  useKeys({ n: () => write && invite(true) });
  const wrong = query.error ? problemOf(query.error).violations.find((v) => v.field === 'filter')?.text : undefined;
  const columns: Column<Person>[] = [
    {
      id: 'who', header: t('name'), fixed: true,
      cell: (p) => (
        <Group gap={8} wrap="nowrap">
          <span style={{ fontWeight: 500 }}>{p.name || p.email}</span>
          {p.name ? <span className="dim">{p.email}</span> : null}
          {p.id === caller.person?.id ? <Chip>{t('you')}</Chip> : null}
        </Group>
      ),
    },
    { id: 'role', header: t('role'), fixed: true, cell: (p) => roleName(p.role) },
    { id: 'teams', header: t('teams'), cell: (p) => (p.teams.length ? list(p.teams.map((m) => m.team)) : <span className="dim">–</span>) },
    { id: 'with', header: t('signsIn'), cell: (p) => <span className="dim">{[p.hasPassword ? t('password') : '', p.singleSignOn ? t('sso') : ''].filter(Boolean).join(', ') || '–'}</span> },
    { id: 'last', header: t('lastSignIn'), cell: (p) => <When at={p.signInTime} none={t('never')} /> },
    {
      id: 'state', header: t('state'), fixed: true,
      cell: (p) => (p.disabled ? <Status tone="off">{t('disabled')}</Status> : p.hasPassword || p.singleSignOn ? <Status tone="ok">{t('active')}</Status> : <Status tone="info">{t('invited')}</Status>),
    },
  ];
  return (
    <>
      <Section
        flush
        title={t('people')}
        actions={
          <>
            <FilterInput value={search.q} onChange={setFilter} placeholder={t('filter')} error={wrong} width={240} />
            {write ? (
              <Button leftSection={<IconUserPlus size={14} aria-hidden />} onClick={() => invite(true)}>
                {t('invite')}
              </Button>
            ) : null}
          </>
        }
      >
        <Region query={wrong ? { ...query, error: null } : query} skeleton={4}>
          {() =>
            rows.length ? (
              <DataTable
                id="people"
                label={t('people')}
                columns={columns}
                rows={rows}
                rowKey={(p) => p.id}
                rowActions={write ? (p) => <PersonActions person={p} /> : () => null}
                tone={(p) => (p.disabled ? 'dim' : undefined)}
                onEnd={query.hasNextPage && !query.isFetchingNextPage ? () => void query.fetchNextPage() : undefined}
              />
            ) : (
              <NoMatch filters={1} onClear={() => setFilter(undefined)} />
            )
          }
        </Region>
        {write ? null : <p className="dim" style={{ padding: '0 16px' }}>{settings('readOnly')}</p>}
      </Section>
      <SignIn />
      {search.new && write ? <InvitePerson onClose={() => invite(false)} /> : null}
    </>
  );
}
