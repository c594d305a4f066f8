import { Button } from '@mantine/core';
import { useInfiniteQuery } from '@connectrpc/connect-query';
import { IconKey, IconPlus } from '@tabler/icons-react';
import { getRouteApi } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { clientOf, refresh } from '@/api/client';
import { useNow } from '@/app/clock';
import { useKeys } from '@/app/keys';
import { Confirm } from '@/components/Confirm';
import { type Column, DataTable } from '@/components/DataTable';
import { Section } from '@/components/Page';
import { Empty, Region } from '@/components/Region';
import { Status } from '@/components/Status';
import { At, When } from '@/components/When';
import { type Token, TokenService } from '@/gen/tollgate/control/v1/token_pb';
import { ago, millis } from '@/lib/time';
import { t } from '@/text/people';
import classes from '../Settings.module.css';
import { CreateToken } from './CreateToken';
import { rightName } from './rights';
import { roleName } from './roles';

const route = getRouteApi('/settings/$section');

/** Tokens of programs that call the API. */
export default function Tokens() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { may } = useCaller();
  const now = useNow();
  const write = may(Permission.PEOPLE_WRITE);
  const query = useInfiniteQuery(TokenService.method.listTokens, { pageSize: 200, pageToken: '' }, { pageParamKey: 'pageToken', getNextPageParam: (last) => last.nextPageToken || undefined });
  const rows = useMemo(() => query.data?.pages.flatMap((p) => p.tokens) ?? [], [query.data]);
  const [revoking, setRevoking] = useState<Token>();
  const create = (on: boolean) => void navigate({ search: (s) => ({ ...s, new: on || undefined }), replace: !on });
  useKeys({ n: () => write && create(true) });
  const over = (k: Token): 'revoked' | 'expired' | undefined => (k.revokeTime ? 'revoked' : k.expireTime && millis(k.expireTime)! <= now ? 'expired' : undefined);
  const columns: Column<Token>[] = [
    {
      id: 'name', header: t('tokenName'), fixed: true,
      cell: (k) => (
        <>
          <span style={{ fontWeight: 500 }}>{k.name}</span> {k.suffix ? <span className="mono dim">{`…${k.suffix}`}</span> : null}
        </>
      ),
    },
    { id: 'may', header: t('rights'), fixed: true, cell: (k) => roleName(k.role) || k.permissions.map(rightName).join(', ') },
    { id: 'team', header: t('team'), cell: (k) => k.team || <span className="dim">–</span> },
    { id: 'used', header: t('used'), cell: (k) => <When at={k.useTime} none={t('never')} /> },
    { id: 'expires', header: t('expires'), cell: (k) => <At at={k.expireTime} none={t('noExpiry')} /> },
    { id: 'made', header: t('made'), hidden: true, cell: (k) => k.creator },
    {
      id: 'state', header: t('state'), fixed: true,
      cell: (k) => {
        const end = over(k);
        return end ? <Status tone="off">{t(end)}</Status> : <Status tone="ok">{t('active')}</Status>;
      },
    },
  ];
  const usedAt = millis(revoking?.useTime);
  return (
    <>
      <Section
        flush
        title={t('tokens')}
        actions={
          write ? (
            <Button leftSection={<IconPlus size={14} aria-hidden />} onClick={() => create(true)}>
              {t('createToken')}
            </Button>
          ) : null
        }
      >
        <p className={classes.text} style={{ padding: '0 16px' }}>{t('tokensText')}</p>
        <Region query={query} skeleton={4}>
          {() =>
            rows.length ? (
              <DataTable
                id="tokens"
                label={t('tokens')}
                columns={columns}
                rows={rows}
                rowKey={(k) => k.id}
                tone={(k) => (over(k) ? 'dim' : undefined)}
                rowActions={(k) =>
                  write && !over(k) ? (
                    <Button size="compact-xs" variant="default" aria-label={t('revokeOf', { name: k.name })} onClick={() => setRevoking(k)}>
                      {t('revoke')}
                    </Button>
                  ) : null
                }
              />
            ) : (
              <Empty icon={<IconKey size={28} />} title={t('noTokens')} cli="tollgate token create deploy --role editor --expires 90d">
                {t('noTokensText')}
              </Empty>
            )
          }
        </Region>
      </Section>
      {search.new && write ? <CreateToken onClose={() => create(false)} /> : null}
      {revoking ? (
        <Confirm
          title={t('revokeTitle', { name: revoking.name })}
          action={t('revoke')}
          typed={usedAt !== undefined ? revoking.name : undefined}
          onClose={() => setRevoking(undefined)}
          run={async () => {
            await clientOf(TokenService).revokeToken({ token: revoking.id });
            await refresh(TokenService);
          }}
        >
          {t('revokeText')} {usedAt !== undefined ? t('revokeUsed', { when: ago(usedAt, now) }) : t('revokeUnused')}
        </Confirm>
      ) : null}
    </>
  );
}
