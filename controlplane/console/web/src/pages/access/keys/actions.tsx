// What is done to keys from their rows, in bulk and from their pages.

import { NativeSelect, Modal, Select, Stack, Text, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { type ReactNode, useState } from 'react';
import { clientOf, refresh } from '@/api/client';
import { problemOf } from '@/api/errors';
import { override } from '@/api/transport';
import { zone } from '@/app/preferences';
import { Confirm } from '@/components/Confirm';
import { BudgetService } from '@/gen/tollgate/control/v1/budget_pb';
import { type Key, KeyService } from '@/gen/tollgate/control/v1/key_pb';
import { TeamService } from '@/gen/tollgate/control/v1/team_pb';
import { absolute, zoneId } from '@/lib/time';
import { t } from '@/text/access';
import { t as shell } from '@/text/shell';
import { Buttons, useSubmit, Wrong } from '../submit';
import { type Draft, emptyDraft, expiry } from './draft';
import { ExpiryField, useTeamNames } from './KeyFields';

const calls = clientOf(KeyService);
export const refreshKeys = () => refresh(KeyService, TeamService, BudgetService);

/** Header of a change to what a file owns, which was warned of. */
export const anyway = (o: { managedBy: string }) => ({ headers: o.managedBy ? override : {} });

export function complain(err: unknown): void {
  const p = problemOf(err);
  notifications.show({ color: 'red', title: p.message, message: p.hint });
}

/** Runs a change for each of some keys, a few at a time; throws what the first refusal said, and how many were done. */
export async function each(keys: Key[], run: (k: Key) => Promise<unknown>): Promise<void> {
  const waiting = [...keys];
  let done = 0;
  let first: unknown;
  const worker = async () => {
    for (let k = waiting.shift(); k; k = waiting.shift()) {
      try {
        await run(k);
        done++;
      } catch (err) {
        first ??= err;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(4, keys.length) }, worker));
  await refreshKeys();
  if (first === undefined) return;
  if (keys.length > 1) notifications.show({ color: 'red', message: t('someDone', { done, n: keys.length }) });
  throw first;
}

/** Refuses a key, or lets it be used again. */
export async function setBlocked(k: Key, blocked: boolean): Promise<void> {
  try {
    await calls.blockKey({ key: k.id, blocked }, anyway(k));
    notifications.show({ message: t(blocked ? 'blockedNow' : 'unblockedNow', { name: k.name }), autoClose: 4000 });
  } catch (err) {
    complain(err);
  }
  await refreshKeys();
}

/** Asks before keys are refused, with what they do. */
export function BlockKey({ of: k, requests, onClose }: { of: Key; requests: bigint | undefined; onClose: () => void }) {
  return (
    <Confirm title={t('blockTitle', { name: k.name })} action={t('block')} run={() => setBlocked(k, true)} onClose={onClose}>
      {requests ? t('served', { n: Number(requests) }) : null} {t('blockEffect')} {k.managedBy ? shell('managedBy', { file: k.managedBy }) : null}
    </Confirm>
  );
}

/** Asks before keys are ended for good. */
export function RevokeKeys({ of: keys, requests, onClose, onDone }: { of: Key[]; requests: bigint | undefined; onClose: () => void; onDone?: () => void }) {
  const one = keys.length === 1 ? keys[0] : undefined;
  const run = async () => {
    await each(keys, (k) => calls.revokeKey({ key: k.id, etag: keys.length === 1 ? k.etag : '' }, anyway(k)));
    notifications.show({ message: t('revokedNow', { n: keys.length }), autoClose: 4000 });
    onDone?.();
  };
  return (
    <Confirm title={one ? t('revokeTitle', { name: one.name }) : t('revokeTitles', { n: keys.length })} action={t('revokeAction', { n: keys.length })} typed={requests ? (one?.name ?? String(keys.length)) : undefined} run={run} onClose={onClose}>
      {requests === undefined ? null : requests ? t('servedAll', { n: Number(requests) }) : t('servedNone')} {t('revokeEffect')}
    </Confirm>
  );
}

function Dialog({ title, children, onClose }: { title: string; children: ReactNode; onClose: () => void }) {
  return (
    <Modal opened onClose={onClose} title={<Text fw={600} component="span">{title}</Text>} closeButtonProps={{ 'aria-label': shell('close') }}>
      {children}
    </Modal>
  );
}

/** Lets keys be used longer, or less long. */
export function ExtendKeys({ of: keys, onClose }: { of: Key[]; onClose: () => void }) {
  const timeZone = zoneId(zone.use());
  const submit = useSubmit(['expire_time']);
  const [draft, setDraft] = useState<Draft>({ ...emptyDraft, expires: '90' });
  const go = () => {
    const at = expiry(draft, Date.now(), timeZone);
    const missing = draft.expires === 'date' && !draft.date;
    return submit.send(
      async () => {
        await each(keys, (k) => calls.updateKey({ key: k.id, ...(at === undefined ? {} : { expireTime: timestampFromMs(at) }), updateMask: { paths: ['expire_time'] } }, anyway(k)));
        onClose();
      },
      missing ? [{ field: 'expire_time', code: 'required', text: t('dateMissing') }] : [],
    );
  };
  return (
    <Dialog title={t('extendTitle', { n: keys.length })} onClose={onClose}>
      <form ref={submit.form} onKeyDown={submit.onKeyDown} onSubmit={(e) => (e.preventDefault(), void go())}>
        <Stack gap="sm">
          <Wrong of={submit} fields={['expire_time']} />
          <ExpiryField draft={draft} set={(c) => setDraft((d) => ({ ...d, ...c }))} submit={submit} />
          <Buttons of={submit} action={t('extend')} onClose={onClose} />
        </Stack>
      </form>
    </Dialog>
  );
}

/** Has keys charged to another team from now on. */
export function MoveKeys({ of: keys, onClose }: { of: Key[]; onClose: () => void }) {
  const teams = useTeamNames();
  const submit = useSubmit(['team']);
  const [team, setTeam] = useState<string | null>(null);
  const go = () =>
    submit.send(async () => {
      await each(keys, (k) => calls.updateKey({ key: k.id, team: team ?? '', updateMask: { paths: ['team'] } }, anyway(k)));
      onClose();
    });
  return (
    <Dialog title={t('moveTitle', { n: keys.length })} onClose={onClose}>
      <form ref={submit.form} onKeyDown={submit.onKeyDown} onSubmit={(e) => (e.preventDefault(), void go())}>
        <Stack gap="sm">
          <Wrong of={submit} fields={['team']} />
          <Select label={t('team')} data-field="team" data-autofocus data={teams} value={team} placeholder={t('noTeam')} searchable clearable clearButtonProps={{ 'aria-label': t('noTeam') }} error={submit.at('team')} onChange={setTeam} />
          <Text size="sm" className="dim">{t('moveEffect')}</Text>
          <Buttons of={submit} action={t('move')} onClose={onClose} />
        </Stack>
      </form>
    </Dialog>
  );
}

const dayMs = 86_400_000;
const overlaps = { '0': 0, '1h': dayMs / 24, '24h': dayMs, '7d': 7 * dayMs } as const;

/** How long the old secret goes on, in milliseconds; undefined for what is not allowed. */
export function overlapOf(choice: string, days: string): number | undefined {
  if (choice in overlaps) return overlaps[choice as keyof typeof overlaps];
  const n = Number(days);
  return /^\d+(\.\d+)?$/.test(days.trim()) && n > 0 && n <= 30 ? n * dayMs : undefined;
}

/** Chooses how long the old secret of a key goes on working. */
export function OverlapFields({ choice, days, set, error }: { choice: string; days: string; set: (choice: string, days: string) => void; error?: string | undefined }) {
  const z = zone.use();
  const ms = overlapOf(choice, days);
  return (
    <>
      <NativeSelect
        label={t('overlap')}
        data-autofocus
        value={choice}
        data={[...Object.keys(overlaps), 'custom'].map((value) => ({ value, label: t(`overlap_${value as '24h'}`) }))}
        onChange={(e) => set(e.currentTarget.value, days)}
      />
      {choice === 'custom' ? <TextInput label={t('overlapDays')} data-field="overlap" inputMode="decimal" value={days} error={error} onChange={(e) => set(choice, e.currentTarget.value)} /> : null}
      <Text size="sm" className={ms === 0 ? 'warn' : 'dim'}>
        {ms === undefined ? t('overlapRange') : ms === 0 ? t('overlapNone') : t('overlapUntil', { at: absolute(Date.now() + ms, z) })}
      </Text>
    </>
  );
}
