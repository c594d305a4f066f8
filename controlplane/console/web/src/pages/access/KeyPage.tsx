import { Button, Menu } from '@mantine/core';
import { useQuery } from '@connectrpc/connect-query';
import { IconBan, IconChevronDown, IconCircleCheck, IconPencil, IconRefresh } from '@tabler/icons-react';
import { getRouteApi, Link } from '@tanstack/react-router';
import { useState } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { problemOf } from '@/api/errors';
import { useOnline } from '@/app/Offline';
import { CopyText } from '@/components/CopyText';
import { NotFound } from '@/components/NotFound';
import { Page, Section } from '@/components/Page';
import { Region } from '@/components/Region';
import { Chip } from '@/components/Status';
import { At, When } from '@/components/When';
import { type Key, KeyService } from '@/gen/tollgate/control/v1/key_pb';
import { RequestList } from '@/pages/requests/RequestList';
import { t } from '@/text/access';
import classes from './Access.module.css';
import { EditKey } from './key/EditKey';
import { KeySecrets } from './key/KeySecrets';
import { CanCall, KeyState, Names } from './keys/columns';
import { Doings } from './keys/Doings';
import { setBlocked } from './keys/actions';
import { alive, masked, quote } from './keys/facts';
import type { Doing } from './keys/RowMenu';
import { LimitsPanel } from './LimitsPanel';
import { SpendBy, SpendPanel } from './SpendPanel';
import { useBudgets, useFigures } from './useFigures';
import { useMayKeys } from './useMay';
import { useRange } from './useRange';
import { yamlOf } from './yaml';

const route = getRouteApi('/keys/$id');

/** One key: what it spends, what bounds it, who uses it, and its secrets. */
export function KeyPage() {
  const { id } = route.useParams();
  const query = useQuery(KeyService.method.getKey, { key: id });
  const k = query.data?.key;
  if (query.error && problemOf(query.error).code === 'not_found') return <NotFound what={t('keyNotFound', { name: id })} audit={`object:${id}`} />;
  if (!k) {
    return (
      <Page title={id} parent={{ to: '/keys', label: t('keys') }}>
        <Region query={query}>{() => null}</Region>
      </Page>
    );
  }
  return <Detail key={k.id} of={k} />;
}

function Detail({ of: k }: { of: Key }) {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { may } = useCaller();
  const mayWrite = useMayKeys().of(k.team) && alive(k);
  const online = useOnline();
  const money = may(Permission.MONEY_READ);
  const figures = useFigures('key');
  const budgets = useBudgets('key');
  const [doing, setDoing] = useState<Doing>();
  const range = useRange(search, (r) => void navigate({ search: (s) => ({ ...s, ...r }), replace: true }));
  const begin = (kind: Doing['kind']) => setDoing({ kind, keys: [k] });
  const editing = search.sel === 'edit' && mayWrite;
  const edit = (open: boolean) => void navigate({ search: (s) => ({ ...s, sel: open ? 'edit' : undefined }), replace: true });
  const rotating = k.overlapEndTime !== undefined;
  const secrets = <KeySecrets of={k} mayWrite={mayWrite} />;
  return (
    <Page
      title={k.name}
      parent={{ to: '/keys', label: t('keys') }}
      beside={
        <>
          <KeyState of={k} purses={budgets?.get(k.name)} />
          {masked(k) ? <span className="mono dim">{masked(k)}</span> : null}
          {k.team ? (
            <Link to="/teams/$name" params={{ name: k.team }} className={classes.more}>
              {k.team}
            </Link>
          ) : null}
          {k.managedBy ? <Chip>{t('managed', { file: k.managedBy })}</Chip> : null}
        </>
      }
      intro={k.description || null}
      actions={
        mayWrite ? (
          <>
            <Button leftSection={<IconRefresh size={14} aria-hidden />} disabled={!online} onClick={() => begin('rotate')}>
              {t('rotate')}
            </Button>
            <Button variant="default" leftSection={<IconPencil size={14} aria-hidden />} onClick={() => edit(true)}>
              {t('edit')}
            </Button>
            {k.blocked ? (
              <Button variant="default" disabled={!online} leftSection={<IconCircleCheck size={14} aria-hidden />} onClick={() => void setBlocked(k, false)}>
                {t('unblock')}
              </Button>
            ) : (
              <Button variant="default" disabled={!online} leftSection={<IconBan size={14} aria-hidden />} onClick={() => begin('block')}>
                {t('block')}
              </Button>
            )}
            <Menu>
              <Menu.Target>
                <Button variant="default" rightSection={<IconChevronDown size={14} aria-hidden />}>
                  {t('more')}
                </Button>
              </Menu.Target>
              <Menu.Dropdown>
                <Menu.Item onClick={() => begin('extend')}>{t('do_extend')}</Menu.Item>
                <Menu.Item onClick={() => begin('move')}>{t('do_move')}</Menu.Item>
                <Menu.Divider />
                <Menu.Item color="red" onClick={() => begin('revoke')}>
                  {t('do_revoke')}
                </Menu.Item>
              </Menu.Dropdown>
            </Menu>
          </>
        ) : null
      }
      copy={{ cli: `tollgate key get ${quote(k.name)}`, call: { method: KeyService.method.getKey, input: { key: k.id } }, yaml: () => yamlOf('key', 'keys', k.name) }}
    >
      {rotating ? secrets : null}
      <div className={classes.grid}>
        <div className={classes.column}>
          {money ? (
            <>
              <SpendPanel of={{ key: k.id }} range={range} />
              <SpendBy of={{ key: k.id }} range={range} by="endpoint" title={t('endpointsUsed')} to={(name) => ({ to: '/endpoints/$name/$tab', params: { name, tab: 'overview' } })} />
            </>
          ) : null}
        </div>
        <div className={classes.column}>
          <LimitsPanel of={{ key: k.name, team: k.team, customer: k.customer, tags: k.tags }} create={`key:${k.name}`} />
          {rotating ? null : secrets}
          <Details of={k} />
        </div>
      </div>
      {money ? (
        <Section title={t('lastRequests')}>
          <RequestList filter={{ key: [k.name] }} />
        </Section>
      ) : null}
      <Doings doing={doing} figures={figures} onClose={() => setDoing(undefined)} />
      {editing ? <EditKey of={k} onClose={() => edit(false)} /> : null}
    </Page>
  );
}

function Details({ of: k }: { of: Key }) {
  const metadata = k.metadata && Object.keys(k.metadata).length ? JSON.stringify(k.metadata, null, 1) : '';
  return (
    <Section
      title={t('details')}
      actions={
        <Link to="/audit" search={{ q: `object:${k.id}` } as never} className={classes.more}>
          {t('audit')}
        </Link>
      }
    >
      <dl className={classes.facts}>
        <dt>{t('canCall')}</dt>
        <dd>
          <CanCall of={k} />
        </dd>
        <dt>{t('models')}</dt>
        <dd>
          <Names names={k.models} all={t('allModels')} most={8} />
        </dd>
        <dt>{t('methods')}</dt>
        <dd>
          <Names names={k.methods} all={t('allMethods')} most={8} />
        </dd>
        <dt>{t('networks')}</dt>
        <dd>
          <Names names={k.networks} all={t('allNetworks')} most={8} />
        </dd>
        <dt>{t('customer')}</dt>
        <dd>{k.customer || <span className="dim">{t('anyCustomer')}</span>}</dd>
        <dt>{t('tags')}</dt>
        <dd>
          <Names names={k.tags} all={t('noTags')} most={4} />
        </dd>
        <dt>{t('expires')}</dt>
        <dd>{k.expireTime ? <At at={k.expireTime} /> : t('never')}</dd>
        <dt>{t('createdAt')}</dt>
        <dd>
          <When at={k.createTime} />
        </dd>
        {metadata ? (
          <>
            <dt>{t('metadata')}</dt>
            <dd>
              <pre className={`mono ${classes.metadata}`}>{metadata}</pre>
            </dd>
          </>
        ) : null}
        <dt>{t('id')}</dt>
        <dd>
          <CopyText value={k.id} label={t('copyId')} />
        </dd>
      </dl>
    </Section>
  );
}
