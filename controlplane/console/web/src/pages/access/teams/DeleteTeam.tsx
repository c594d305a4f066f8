import { Select } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQuery } from '@connectrpc/connect-query';
import { useState } from 'react';
import { clientOf } from '@/api/client';
import { Confirm } from '@/components/Confirm';
import { type Team, TeamService } from '@/gen/tollgate/control/v1/team_pb';
import { t } from '@/text/teams';
import { anyway, refreshKeys } from '../keys/actions';

/** Asks before a team goes, and where its keys are to go. */
export function DeleteTeam({ of: team, onClose, onDone }: { of: Team; onClose: () => void; onDone?: () => void }) {
  const [to, setTo] = useState<string | null>(null);
  const { data } = useQuery(TeamService.method.listTeams, { pageSize: 1000 });
  const others = (data?.teams ?? []).map((x) => x.name).filter((n) => n !== team.name);
  const keys = Number(team.keys);
  const run = async () => {
    await clientOf(TeamService).deleteTeam({ team: team.id, etag: team.etag, moveKeysTo: to ?? '' }, anyway(team));
    notifications.show({ message: t('deleted', { name: team.name }), autoClose: 4000 });
    onDone?.();
    await refreshKeys();
  };
  return (
    <Confirm title={t('deleteTitle', { name: team.name })} action={t('deleteAction')} typed={keys ? team.name : undefined} run={run} onClose={onClose}>
      {keys ? (
        <>
          <p>{t('deleteKeys', { n: keys })}</p>
          <Select label={t('moveTo')} data={others} value={to} placeholder={t('chooseTeam')} searchable onChange={setTo} />
          <p>{to ? t('deleteMoves', { n: keys, to }) : t('deleteNeedsTeam')}</p>
        </>
      ) : (
        t('deleteNoKeys')
      )}{' '}
      {t('deleteEffect')}
    </Confirm>
  );
}
