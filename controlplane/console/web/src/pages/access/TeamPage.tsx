import { Button, Menu } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQuery } from '@connectrpc/connect-query';
import { IconChevronDown, IconPencil, IconPlus } from '@tabler/icons-react';
import { getRouteApi, Link } from '@tanstack/react-router';
import { useState } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { clientOf } from '@/api/client';
import { problemOf } from '@/api/errors';
import { useOnline } from '@/app/Offline';
import { Confirm } from '@/components/Confirm';
import { NotFound } from '@/components/NotFound';
import { Page, Section } from '@/components/Page';
import { Region } from '@/components/Region';
import { Chip, Status } from '@/components/Status';
import { Period } from '@/gen/tollgate/control/v1/budget_pb';
import { SettingsService } from '@/gen/tollgate/control/v1/settings_pb';
import { type Team, TeamService } from '@/gen/tollgate/control/v1/team_pb';
import { nanos, short } from '@/lib/money';
import { t as shared } from '@/text/access';
import { t } from '@/text/teams';
import classes from './Access.module.css';
import { anyway, complain, refreshKeys } from './keys/actions';
import { CanCall, Names } from './keys/columns';
import { CreateKey } from './keys/CreateKey';
import { quote } from './keys/facts';
import { KeyTable, useKeyList } from './keys/KeyTable';
import { LimitsPanel } from './LimitsPanel';
import { SpendBy, SpendPanel } from './SpendPanel';
import { DeleteTeam } from './teams/DeleteTeam';
import { Members } from './teams/Members';
import { TeamForm } from './teams/TeamForm';
import { useMayKeys } from './useMay';
import { useRange } from './useRange';
import { yamlOf } from './yaml';

const route = getRouteApi('/teams/$name');
const calls = clientOf(TeamService);
const ofTeam = ['team'];

/** One team: what it spends, who belongs to it, and its keys. */
export function TeamPage() {
  const { name } = route.useParams();
  const query = useQuery(TeamService.method.getTeam, { team: name });
  const team = query.data?.team;
  if (query.error && problemOf(query.error).code === 'not_found') return <NotFound what={t('notFound', { name })} audit={`object:${name}`} />;
  if (!team) {
    return (
      <Page title={name} parent={{ to: '/teams', label: t('teams') }}>
        <Region query={query}>{() => null}</Region>
      </Page>
    );
  }
  return <Detail key={team.id} of={team} />;
}

function Detail({ of: team }: { of: Team }) {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { may } = useCaller();
  const mayAll = may(Permission.KEYS_WRITE);
  const mayKeys = useMayKeys().of(team.name);
  const online = useOnline();
  const money = may(Permission.MONEY_READ);
  const set = (change: Partial<typeof search>) => void navigate({ search: (s) => ({ ...s, ...change }), replace: true });
  const range = useRange(search, (r) => set(r as Partial<typeof search>));
  const [asking, setAsking] = useState<'delete' | 'block'>();
  const list = useKeyList([`team:${team.name}`, search.q?.includes('status:') ? '' : '-status:revoked', search.q].filter(Boolean).join(' '), search.sort);
  const setBlocked = async (blocked: boolean) => {
    await calls.updateTeam({ team: team.id, blocked, etag: team.etag, updateMask: { paths: ['blocked'] } }, anyway(team));
    await refreshKeys();
    notifications.show({ message: t(blocked ? 'blockedNow' : 'unblockedNow', { name: team.name }), autoClose: 4000 });
  };
  const closeSel = () => set({ sel: undefined });
  return (
    <Page
      title={team.name}
      parent={{ to: '/teams', label: t('teams') }}
      beside={
        <>
          {team.blocked ? <Status tone="bad">{shared('state_blocked')}</Status> : null}
          {team.managedBy ? <Chip>{shared('managed', { file: team.managedBy })}</Chip> : null}
        </>
      }
      intro={team.description || null}
      actions={
        <>
          {mayKeys ? (
            <Button leftSection={<IconPlus size={14} aria-hidden />} onClick={() => set({ sel: 'new' })}>
              {shared('createKey')}
            </Button>
          ) : null}
          {mayAll ? (
            <>
              <Button variant="default" leftSection={<IconPencil size={14} aria-hidden />} onClick={() => set({ sel: 'edit' })}>
                {shared('edit')}
              </Button>
              <Menu>
                <Menu.Target>
                  <Button variant="default" rightSection={<IconChevronDown size={14} aria-hidden />}>
                    {shared('more')}
                  </Button>
                </Menu.Target>
                <Menu.Dropdown>
                  {team.blocked ? (
                    <Menu.Item disabled={!online} onClick={() => void setBlocked(false).catch(complain)}>
                      {shared('unblock')}
                    </Menu.Item>
                  ) : (
                    <Menu.Item disabled={!online} onClick={() => setAsking('block')}>
                      {shared('do_block')}
                    </Menu.Item>
                  )}
                  <Menu.Divider />
                  <Menu.Item color="red" disabled={!online} onClick={() => setAsking('delete')}>
                    {t('delete')}
                  </Menu.Item>
                </Menu.Dropdown>
              </Menu>
            </>
          ) : null}
        </>
      }
      copy={{ cli: `tollgate team get ${quote(team.name)}`, call: { method: TeamService.method.getTeam, input: { team: team.id } }, yaml: () => yamlOf('team', 'teams', team.name) }}
    >
      <div className={classes.grid}>
        <div className={classes.column}>
          {money ? (
            <>
              <SpendPanel of={{ team: team.name }} range={range} />
              <SpendBy of={{ team: team.name }} range={range} by="key" title={t('spendByKey')} to={(name) => ({ to: '/keys/$id', params: { id: name } })} />
            </>
          ) : null}
        </div>
        <div className={classes.column}>
          <LimitsPanel of={{ team: team.name }} create={`team:${team.name}`} sentence={false} />
          <Members of={team} mayWrite={mayKeys} />
          <Section
            title={shared('details')}
            actions={
              <Link to="/audit" search={{ q: `object:${team.id}` } as never} className={classes.more}>
                {shared('audit')}
              </Link>
            }
          >
            <dl className={classes.facts}>
              <dt>{t('mayCall')}</dt>
              <dd>{team.restricted ? <CanCall of={team} /> : <span className="dim">{t('whatEachMay')}</span>}</dd>
              <dt>{shared('models')}</dt>
              <dd>
                <Names names={team.models} all={shared('allModels')} most={8} />
              </dd>
              <dt>{t('newKeys')}</dt>
              <dd>
                <NewKeys />
              </dd>
            </dl>
          </Section>
        </div>
      </div>
      <h2 className={classes.heading}>{t('keys')}</h2>
      {list.query.data && !list.all.length && !search.q ? (
        <div className={`card dim ${classes.none}`}>{t('noKeys')}</div>
      ) : (
        <KeyTable list={list} q={search.q} sort={search.sort} without={ofTeam} onSearch={set} onOpen={(k) => void navigate({ to: '/keys/$id', params: { id: k.name } })} />
      )}
      {search.sel === 'new' && mayKeys ? <CreateKey team={team.name} onClose={closeSel} /> : null}
      {search.sel === 'edit' && mayAll ? <TeamForm of={team} onClose={closeSel} onDone={(done) => void navigate({ to: '/teams/$name', params: { name: done.name }, search: {}, replace: true })} /> : null}
      {asking === 'delete' ? <DeleteTeam of={team} onClose={() => setAsking(undefined)} onDone={() => void navigate({ to: '/teams' })} /> : null}
      {asking === 'block' ? (
        <Confirm title={t('blockTitle', { name: team.name })} action={shared('block')} run={() => setBlocked(true)} onClose={() => setAsking(undefined)}>
          {t('blockEffect', { n: Number(team.keys) })}
        </Confirm>
      ) : null}
    </Page>
  );
}

/** What the settings give to new keys, which are the same for all teams. */
function NewKeys() {
  const { may } = useCaller();
  const { data } = useQuery(SettingsService.method.getSettings, {}, { enabled: may(Permission.CONFIG_READ), staleTime: 60_000 });
  if (!data) return <span className="dim">–</span>;
  const d = data.settings?.newKeys;
  const parts = [
    d?.budget ? t('defaultBudgetOf', { amount: short(nanos(d.budget.amount)) + shared(`slash_${Period[d.budget.period] as 'MONTH'}`) }) : '',
    d?.expireDays ? t('defaultExpiry', { n: d.expireDays }) : '',
  ].filter(Boolean);
  return (
    <>
      {parts.length ? parts.join(', ') : t('noDefaults')}{' '}
      <Link to="/settings/$section" params={{ section: 'general' }} className={classes.more}>
        {t('settings')}
      </Link>
    </>
  );
}
