import { Button, UnstyledButton } from '@mantine/core';
import { useInfiniteQuery } from '@connectrpc/connect-query';
import { IconChevronRight, IconHistory } from '@tabler/icons-react';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { connection } from '@/api/live';
import { Changes } from '@/components/Changes';
import { Section } from '@/components/Page';
import { Region } from '@/components/Region';
import { Chip } from '@/components/Status';
import { When } from '@/components/When';
import { type Endpoint, type EndpointRevision, EndpointService } from '@/gen/tollgate/control/v1/endpoint_pb';
import { t } from '@/text/endpoints';
import classes from '../EndpointPage.module.css';
import { Revert } from './Revert';

const route = getRouteApi('/endpoints/$name/$tab');
const did = ['create', 'update', 'delete', 'enable', 'disable', 'revert'] as const;
const didText = (action: string) => {
  const known = did.find((d) => d === action);
  return known ? t(`did_${known}`) : action;
};

/** What an endpoint was, who changed it, and a way back. */
export default function History({ endpoint }: { endpoint: Endpoint }) {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const query = useInfiniteQuery(
    EndpointService.method.listEndpointRevisions,
    { endpoint: endpoint.id, pageSize: 50, pageToken: '' },
    { pageParamKey: 'pageToken', getNextPageParam: (last) => last.nextPageToken || undefined },
  );
  const [reverting, setReverting] = useState<EndpointRevision>();
  const open = search.sel;
  const set = (sel: string | undefined) => void navigate({ search: (s) => ({ ...s, sel }), replace: true });
  return (
    <Section title={t('history')} flush>
      <Region query={query}>
        {(d) => (
          <div className={classes.revisions}>
            {d.pages
              .flatMap((p) => p.revisions)
              .map((r) => (
                <Revision key={String(r.revision)} revision={r} current={r.revision === endpoint.revision} open={open === String(r.revision)} onOpen={(on) => set(on ? String(r.revision) : undefined)} onRevert={() => setReverting(r)} />
              ))}
            {query.hasNextPage ? (
              <Button variant="subtle" m="sm" loading={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
                {t('historyMore')}
              </Button>
            ) : null}
          </div>
        )}
      </Region>
      {reverting ? <Revert endpoint={endpoint} revision={reverting} onClose={() => setReverting(undefined)} /> : null}
    </Section>
  );
}

function Revision({ revision: r, current, open, onOpen, onRevert }: { revision: EndpointRevision; current: boolean; open: boolean; onOpen: (open: boolean) => void; onRevert: () => void }) {
  const { may } = useCaller();
  const { online } = connection.use();
  return (
    <div className={classes.revision}>
      <UnstyledButton className={classes.revisionHead} aria-expanded={open} onClick={() => onOpen(!open)}>
        <IconChevronRight size={16} aria-hidden className={classes.chevron} data-open={open || undefined} />
        <span className={classes.revisionNumber}>{t('rev', { revision: String(r.revision) })}</span>
        <span className={classes.revisionWhat}>
          {didText(r.action)} <span className="dim">{summary(r)}</span>
        </span>
        {current ? <Chip tone="ok">{t('current')}</Chip> : null}
        <span className="wrap">{r.actor}</span>
        <span className="dim">
          <When at={r.time} />
        </span>
      </UnstyledButton>
      {open ? (
        <div className={classes.revisionBody}>
          <Changes changes={r.changes} label={t('changesOf', { revision: String(r.revision) })} />
          {r.revertible && !current && may(Permission.CONFIG_WRITE) ? (
            <div>
              <Button variant="default" leftSection={<IconHistory size={14} aria-hidden />} disabled={!online} onClick={onRevert}>
                {t('revertTo')}
              </Button>
            </div>
          ) : null}
        </div>
      ) : null}
    </div>
  );
}

/** The first fields that changed, in a line. */
export function summary(r: EndpointRevision): string {
  if (r.action !== 'update' && r.action !== 'revert') return '';
  const paths = [...new Set(r.changes.map((c) => c.path))];
  return paths.length > 3 ? t('fieldsMore', { list: paths.slice(0, 3).join(', '), n: paths.length - 3 }) : paths.join(', ');
}
