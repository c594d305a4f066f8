import { Button, Tabs } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { getRouteApi } from '@tanstack/react-router';
import { useKeys } from '@/app/keys';
import { Permission, useCaller } from '@/api/caller';
import { Page } from '@/components/Page';
import { CustomerService } from '@/gen/tollgate/control/v1/customer_pb';
import { TagService } from '@/gen/tollgate/control/v1/tag_pb';
import { TeamService } from '@/gen/tollgate/control/v1/team_pb';
import { t } from '@/text/teams';
import { quote } from './keys/facts';
import { CustomerForm, CustomerList } from './teams/Customers';
import { TagForm, TagList } from './teams/Tags';
import { TeamForm } from './teams/TeamForm';
import { TeamList } from './teams/TeamList';
import { yamlOf } from './yaml';

const route = getRouteApi('/teams');
const tabs = ['teams', 'customers', 'tags'] as const;
const nouns = { teams: 'team', customers: 'customer', tags: 'tag' } as const;
const methods = { teams: TeamService.method.listTeams, customers: CustomerService.method.listCustomers, tags: TagService.method.listTags };
const news = { teams: 'create', customers: 'createCustomer', tags: 'describeTag' } as const;

/** Whom keys are charged to: teams, and beyond them customers and tags. */
export function TeamsPage() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { may } = useCaller();
  const mayWrite = may(Permission.KEYS_WRITE);
  const tab = search.tab ?? 'teams';
  const set = (change: Partial<typeof search>) => void navigate({ search: (s) => ({ ...s, ...change }), replace: true });
  const create = () => set({ sel: 'new' });
  useKeys({ n: () => mayWrite && create() });
  const close = () => set({ sel: undefined });
  const filter = search.q ?? '';
  return (
    <Page
      title={t(tab)}
      wide
      copy={{
        cli: [`tollgate ${nouns[tab]} list`, filter ? `--filter ${quote(filter)}` : ''].filter(Boolean).join(' '),
        call: { method: methods[tab], input: { filter } },
        yaml: () => yamlOf(nouns[tab], tab),
      }}
      actions={
        mayWrite ? (
          <Button leftSection={<IconPlus size={14} aria-hidden />} onClick={create}>
            {t(news[tab])}
          </Button>
        ) : null
      }
    >
      <Tabs value={tab} onChange={(to) => void navigate({ search: { tab: to === 'teams' ? undefined : (to as 'tags') }, replace: true })} keepMounted={false} activateTabWithKeyboard={false}>
        <Tabs.List aria-label={t('kinds')}>
          {tabs.map((id) => (
            <Tabs.Tab key={id} value={id}>
              {t(id)}
            </Tabs.Tab>
          ))}
        </Tabs.List>
      </Tabs>
      {tab === 'teams' ? <TeamList q={search.q} sort={search.sort} onSearch={set} onCreate={mayWrite ? create : undefined} /> : null}
      {tab === 'customers' ? <CustomerList q={search.q} sel={search.sel} onSearch={set} mayWrite={mayWrite} /> : null}
      {tab === 'tags' ? <TagList q={search.q} sel={search.sel} onSearch={set} mayWrite={mayWrite} /> : null}
      {search.sel === 'new' && mayWrite ? (
        tab === 'teams' ? (
          <TeamForm onClose={close} onDone={(made) => void navigate({ to: '/teams/$name', params: { name: made.name } })} />
        ) : tab === 'customers' ? (
          <CustomerForm onClose={close} />
        ) : (
          <TagForm onClose={close} />
        )
      ) : null}
    </Page>
  );
}
