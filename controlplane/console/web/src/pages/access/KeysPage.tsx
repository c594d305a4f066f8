import { Button } from '@mantine/core';
import { IconKey, IconPlus } from '@tabler/icons-react';
import { getRouteApi } from '@tanstack/react-router';
import { useKeys } from '@/app/keys';
import { Page } from '@/components/Page';
import { Empty } from '@/components/Region';
import { KeyService } from '@/gen/tollgate/control/v1/key_pb';
import { t } from '@/text/access';
import { CreateKey } from './keys/CreateKey';
import { quote } from './keys/facts';
import { KeyTable, useKeyList } from './keys/KeyTable';
import { yamlOf } from './yaml';
import { useMayKeys } from './useMay';

const route = getRouteApi('/keys');
const usual = '-status:revoked';
const last4 = /^[\w-]{4}$/;

/** Who may call, with what, and how much they spend. */
export function KeysPage() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { some: mayWrite } = useMayKeys();
  // An id is looked for as one, and keys that were ended for good are there for who asks for them.
  const q = search.q?.replace(/(^|\s)(key_\w+)/g, '$1id:$2') ?? '';
  const wanted = /\b(status|id):/.test(q) ? q : [usual, q].filter(Boolean).join(' ');
  const named = useKeyList(wanted, search.sort);
  // Four characters that no name has may be the last ones of a key.
  const ends = last4.test(q) && named.query.data !== undefined && !named.query.isPlaceholderData && named.all.length === 0;
  const ending = useKeyList(`last4:${q}`, search.sort, ends);
  const list = ends && ending.all.length ? ending : named;
  const filter = list.input.filter;
  const set = (change: Partial<typeof search>) => void navigate({ search: (s) => ({ ...s, ...change }), replace: true });
  const create = () => set({ sel: 'new' });
  useKeys({ n: () => mayWrite && create() });
  const none = list.query.data !== undefined && list.all.length === 0 && !search.q;
  const total = list.all.length;
  return (
    <Page
      title={t('keys')}
      wide
      beside={total ? <span className="dim">{list.query.hasNextPage ? t('totalMore', { n: total }) : t('totalKeys', { n: total })}</span> : null}
      copy={{
        cli: ['tollgate key list', filter ? `--filter ${quote(filter)}` : '', list.input.orderBy ? `--sort ${list.input.orderBy}` : ''].filter(Boolean).join(' '),
        call: { method: KeyService.method.listKeys, input: list.input },
        yaml: () => yamlOf('key', 'keys'),
      }}
      actions={
        mayWrite && !none ? (
          <Button leftSection={<IconPlus size={14} aria-hidden />} onClick={create}>
            {t('createKey')}
          </Button>
        ) : null
      }
    >
      {none ? (
        <div className="card">
          <Empty title={t('noKeysTitle')} icon={<IconKey size={32} />} cli="tollgate key create my-app" actions={mayWrite ? <Button onClick={create}>{t('createKey')}</Button> : null}>
            {t('noKeysText')}
          </Empty>
        </div>
      ) : (
        <KeyTable list={list} q={search.q} sort={search.sort} onSearch={set} onOpen={(k) => void navigate({ to: '/keys/$id', params: { id: k.name } })} />
      )}
      {search.sel === 'new' && mayWrite ? <CreateKey team={search.team} onClose={() => set({ sel: undefined, team: undefined })} /> : null}
    </Page>
  );
}
