import { Autocomplete, MultiSelect, NativeSelect, Select, TagsInput, TextInput } from '@mantine/core';
import { useQuery } from '@connectrpc/connect-query';
import { useMemo } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { zone } from '@/app/preferences';
import { CustomerService } from '@/gen/tollgate/control/v1/customer_pb';
import { EndpointService } from '@/gen/tollgate/control/v1/endpoint_pb';
import { TagService } from '@/gen/tollgate/control/v1/tag_pb';
import { TeamService } from '@/gen/tollgate/control/v1/team_pb';
import { absolute, zoneId } from '@/lib/time';
import { t } from '@/text/access';
import type { Submit } from '../submit';
import { useMayKeys } from '../useMay';
import { type Draft, expiry } from './draft';
import classes from '../Access.module.css';

const all = { pageSize: 1000 };
const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'];

export interface FieldsProps {
  draft: Draft;
  set: (change: Partial<Draft>) => void;
  submit: Submit;
}

export function useTeamNames(): string[] {
  const { of } = useMayKeys();
  const { data } = useQuery(TeamService.method.listTeams, all, { staleTime: 60_000 });
  return useMemo(() => (data?.teams ?? []).map((x) => x.name).filter(of), [data, of]);
}

export function TeamField({ draft, set, submit }: FieldsProps) {
  const teams = useTeamNames();
  const { all: everywhere } = useMayKeys();
  // A team whose name is not in the list, as while it loads, is not lost.
  const known = draft.team && !teams.includes(draft.team) ? [draft.team, ...teams] : teams;
  return (
    <Select
      label={t('team')}
      data-field="team"
      data={known}
      value={draft.team || null}
      placeholder={everywhere ? t('noTeam') : t('chooseTeam')}
      searchable
      clearable={everywhere}
      clearButtonProps={{ 'aria-label': t('noTeam') }}
      nothingFoundMessage={t('noTeams')}
      error={submit.at('team')}
      onChange={(team) => set({ team: team ?? '' })}
    />
  );
}

export function EndpointsField({ value, onChange, error, placeholder, description, label }: { value: string[]; onChange: (names: string[]) => void; error: string | undefined; placeholder: string; description: string; label: string }) {
  const { may } = useCaller();
  const { data } = useQuery(EndpointService.method.listEndpoints, all, { enabled: may(Permission.CONFIG_READ), staleTime: 60_000 });
  const names = useMemo(() => [...new Set([...(data?.endpoints ?? []).map((e) => e.name), ...value])], [data, value]);
  return (
    <MultiSelect
      label={label}
      data-field="endpoints"
      data={names}
      value={value}
      searchable
      clearable
      hidePickedOptions
      clearButtonProps={{ 'aria-label': t('clear') }}
      nothingFoundMessage={t('noEndpoints')}
      placeholder={value.length ? undefined : placeholder}
      description={description}
      inputWrapperOrder={['label', 'input', 'description', 'error']}
      error={error}
      onChange={onChange}
    />
  );
}

export function ExpiryField({ draft, set, submit }: FieldsProps) {
  const z = zone.use();
  const at = expiry(draft, Date.now(), zoneId(z));
  return (
    <div className={classes.pair}>
      <NativeSelect
        label={t('expires')}
        data-field="expire_time"
        value={draft.expires}
        data={[
          { value: '', label: t('never') },
          { value: '30', label: t('inDays', { n: 30 }) },
          { value: '90', label: t('inDays', { n: 90 }) },
          { value: 'date', label: t('onDate') },
        ]}
        description={at === undefined ? undefined : t('stops', { at: absolute(at, z) })}
        inputWrapperOrder={['label', 'input', 'description', 'error']}
        error={submit.at('expire_time')}
        onChange={(e) => set({ expires: e.currentTarget.value as Draft['expires'] })}
      />
      {draft.expires === 'date' ? <TextInput type="date" label={t('date')} value={draft.date} onChange={(e) => set({ date: e.currentTarget.value })} /> : null}
    </div>
  );
}

/** What few keys need. */
export function MoreFields({ draft, set, submit }: FieldsProps) {
  const tags = useQuery(TagService.method.listTags, all, { staleTime: 60_000 });
  const customers = useQuery(CustomerService.method.listCustomers, { pageSize: 200, filter: '' }, { staleTime: 60_000 });
  const list = (field: 'models' | 'networks' | 'tags', label: string, placeholder: string, data: string[] = [], description?: string) => (
    <TagsInput
      label={label}
      data-field={field}
      data={data}
      value={draft[field]}
      placeholder={draft[field].length ? undefined : placeholder}
      description={description}
      inputWrapperOrder={['label', 'input', 'description', 'error']}
      splitChars={[',', ' ']}
      clearable
      clearButtonProps={{ 'aria-label': t('clear') }}
      error={submit.at(field)}
      onChange={(value) => set({ [field]: value })}
    />
  );
  return (
    <>
      <TextInput label={t('description')} data-field="description" value={draft.description} error={submit.at('description')} onChange={(e) => set({ description: e.currentTarget.value })} placeholder={t('descriptionHint')} />
      {list('models', t('models'), t('allModels'), [], t('modelsHint'))}
      <MultiSelect
        label={t('methods')}
        data-field="methods"
        data={methods}
        value={draft.methods}
        placeholder={draft.methods.length ? undefined : t('allMethods')}
        clearable
        clearButtonProps={{ 'aria-label': t('clear') }}
        error={submit.at('methods')}
        onChange={(value) => set({ methods: value })}
      />
      {list('networks', t('networks'), t('allNetworks'), [], t('networksHint'))}
      {list('tags', t('tags'), t('noTags'), (tags.data?.tags ?? []).map((x) => x.name), t('tagsHint'))}
      <Autocomplete
        label={t('customer')}
        data-field="customer"
        data={(customers.data?.customers ?? []).map((c) => c.name)}
        value={draft.customer}
        placeholder={t('anyCustomer')}
        description={t('customerHint')}
        inputWrapperOrder={['label', 'input', 'description', 'error']}
        error={submit.at('customer')}
        onChange={(customer) => set({ customer })}
      />
    </>
  );
}
