import { Autocomplete, Select } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery } from '@connectrpc/connect-query';
import { keepPreviousData } from '@tanstack/react-query';
import { type Ref, useState } from 'react';
import { CustomerService } from '@/gen/tollgate/control/v1/customer_pb';
import { EndpointService } from '@/gen/tollgate/control/v1/endpoint_pb';
import { KeyService } from '@/gen/tollgate/control/v1/key_pb';
import { TagService } from '@/gen/tollgate/control/v1/tag_pb';
import { TeamService } from '@/gen/tollgate/control/v1/team_pb';
import { t } from '@/text/money';
import { type Scope, type ScopeKind, scopes } from './facts';

const pageSize = 50;

/** The names that begin a choice: those that have the text in them. */
export function useNames(kind: ScopeKind, text: string): string[] {
  const [filter] = useDebouncedValue(/^[\w.@:-]*$/.test(text) ? text : '', 150);
  const more = { retry: false, placeholderData: keepPreviousData };
  const ask = { filter, pageSize };
  const teams = useQuery(TeamService.method.listTeams, ask, { ...more, enabled: kind === 'team' });
  const keys = useQuery(KeyService.method.listKeys, ask, { ...more, enabled: kind === 'key' });
  const endpoints = useQuery(EndpointService.method.listEndpoints, ask, { ...more, enabled: kind === 'endpoint' });
  const customers = useQuery(CustomerService.method.listCustomers, ask, { ...more, enabled: kind === 'customer' });
  const tags = useQuery(TagService.method.listTags, ask, { ...more, enabled: kind === 'tag' });
  switch (kind) {
    case 'team':
      return teams.data?.teams.map((x) => x.name) ?? [];
    case 'key':
      return keys.data?.keys.map((x) => x.name) ?? [];
    case 'endpoint':
      return endpoints.data?.endpoints.map((x) => x.name) ?? [];
    case 'customer':
      return customers.data?.customers.map((x) => x.name) ?? [];
    case 'tag':
      return tags.data?.tags.map((x) => x.name) ?? [];
    case 'everything':
      return [];
  }
}

const labels: Record<Exclude<ScopeKind, 'everything'>, string> = { team: t('whichTeam'), key: t('whichKey'), endpoint: t('whichEndpoint'), customer: t('whichCustomer'), tag: t('whichTag') };

/** What a budget or a limit is on. */
export function ScopeFields({ value, onChange, error, inputRef }: { value: Scope; onChange: (s: Scope) => void; error?: string | undefined; inputRef?: Ref<HTMLInputElement> }) {
  const names = useNames(value.kind, value.name);
  return (
    <>
      <ScopeKindField value={value.kind} onChange={(kind) => onChange({ kind, name: '' })} />
      {value.kind === 'everything' ? (
        <span />
      ) : (
        <Autocomplete
          {...(inputRef ? { ref: inputRef } : {})}
          label={labels[value.kind]}
          data={[...new Set(names)]}
          limit={pageSize}
          value={value.name}
          onChange={(name) => onChange({ ...value, name })}
          error={error}
          autoComplete="off"
          required
          withAsterisk={false}
        />
      )}
    </>
  );
}

function ScopeKindField({ value, onChange }: { value: ScopeKind; onChange: (k: ScopeKind) => void }) {
  const [data] = useState(() => scopes.map((v) => ({ value: v, label: t(`what_${v}`) })));
  return <Select data-autofocus label={t('what')} data={data} value={value} onChange={(v) => v && onChange(v as ScopeKind)} />;
}
