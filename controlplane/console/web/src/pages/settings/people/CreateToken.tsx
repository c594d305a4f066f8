import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Button, Checkbox, Drawer, Group, Input, NativeSelect, SegmentedControl, Stack, Text, TextInput } from '@mantine/core';
import { useState } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { clientOf, refresh } from '@/api/client';
import type { Violation } from '@/api/errors';
import { ShownOnce, useShownOnce } from '@/components/ShownOnce';
import { Role } from '@/gen/tollgate/control/v1/person_pb';
import { TokenService } from '@/gen/tollgate/control/v1/token_pb';
import { Buttons, useSubmit, Wrong } from '@/pages/access/submit';
import { useTeamNames } from '@/pages/access/keys/KeyFields';
import { t } from '@/text/people';
import { t as shell } from '@/text/shell';
import { endAfter, rights, rightText } from './rights';
import { RoleField } from './roles';

const fields = ['name', 'role', 'permissions', 'team', 'expire_time'];
const lives = [30, 90, 365, 0] as const;

/** The drawer in which a token is made, and in which it is then shown once. */
export function CreateToken({ onClose }: { onClose: () => void }) {
  const { caller, may } = useCaller();
  const teams = useTeamNames();
  const [made, setMade] = useState<{ name: string; secret: string }>();
  const [name, setName] = useState('');
  const [how, setHow] = useState<'role' | 'list'>('role');
  const [role, setRole] = useState<Role>(Role.EDITOR);
  const [listed, setListed] = useState<Permission[]>([]);
  const [team, setTeam] = useState('');
  const [days, setDays] = useState<number>(90);
  const submit = useSubmit(fields);
  const once = useShownOnce(!!made, onClose);
  const said = (f: string) => submit.at(f) ?? submit.at(`token.${f}`);
  const taken = submit.problem && !submit.problem.violations.length ? submit.problem.message : undefined;
  const check = (): Violation[] => [
    ...(name.trim() ? [] : [{ field: 'name', code: 'required', text: t('nameMissing') }]),
    ...(how === 'list' && !listed.length ? [{ field: 'permissions', code: 'required', text: t('rightsMissing') }] : []),
  ];
  const go = () =>
    submit.send(async () => {
      const end = endAfter(days, Date.now());
      const { token, secret } = await clientOf(TokenService).createToken({
        token: { name: name.trim(), team, ...(how === 'role' ? { role } : { permissions: listed }), ...(end === undefined ? {} : { expireTime: timestampFromMs(end) }) },
      });
      void refresh(TokenService);
      setMade({ name: token!.name, secret });
    }, check());
  return (
    <Drawer opened onClose={made ? once.close : onClose} size="min(520px, 100vw)" title={<Text fw={600} component="span">{made ? t('tokenShown', { name: made.name }) : t('createToken')}</Text>} closeButtonProps={{ 'aria-label': shell('close') }}>
      {made ? (
        <Stack gap="md">
          <ShownOnce
            label={t('tokenShown', { name: made.name })}
            text={t('tokenOnce')}
            secrets={[{ name: '', value: made.secret }]}
            file={{ name: `${made.name}.env`, text: `TOLLGATE_SERVER=${location.origin}\nTOLLGATE_TOKEN=${made.secret}\n`, label: t('asEnv') }}
            onTaken={once.taken}
          />
          <Group justify="flex-end">
            <Button variant="default" onClick={once.close}>
              {t('done')}
            </Button>
          </Group>
          {once.question}
        </Stack>
      ) : (
        <form
          ref={submit.form}
          noValidate
          onKeyDown={submit.onKeyDown}
          onSubmit={(e) => {
            e.preventDefault();
            void go();
          }}
        >
          <Stack gap="md">
            {taken ? null : <Wrong of={submit} fields={[...fields, ...fields.map((f) => `token.${f}`)]} />}
            <TextInput data-autofocus data-field="name" label={t('tokenName')} description={t('tokenNameText')} placeholder={t('tokenNameHint')} required autoComplete="off" spellCheck={false} value={name} error={said('name') ?? taken} onChange={(e) => setName(e.currentTarget.value)} />
            <SegmentedControl
              aria-label={t('rights')}
              value={how}
              onChange={(v) => setHow(v as 'role' | 'list')}
              data={[
                { value: 'role', label: t('byRole') },
                { value: 'list', label: t('byList') },
              ]}
            />
            {how === 'role' ? (
              <RoleField value={role} onChange={setRole} error={said('role')} withOwner={caller.person?.role === Role.OWNER || caller.token === 'admin'} />
            ) : (
              <Checkbox.Group label={t('rights')} value={listed.map(String)} onChange={(v) => setListed(v.map(Number))}>
                <Stack gap={8} mt={6}>
                  {rights.map((p, i) => (
                    <Checkbox key={p} value={String(p)} data-field={i === 0 ? 'permissions' : undefined} disabled={!may(p)} label={rightText(p)} />
                  ))}
                </Stack>
                {said('permissions') ? <Input.Error mt={6}>{said('permissions')}</Input.Error> : null}
              </Checkbox.Group>
            )}
            <NativeSelect data-field="team" label={t('team')} description={team ? t('teamText') : undefined} value={team} data={[{ value: '', label: t('noTeam') }, ...teams]} error={said('team')} onChange={(e) => setTeam(e.currentTarget.value)} />
            <NativeSelect
              data-field="expire_time"
              label={t('expires')}
              description={days ? undefined : t('neverWarn')}
              value={String(days)}
              data={lives.map((d) => ({ value: String(d), label: t(`expire_${d}`) }))}
              error={said('expire_time')}
              onChange={(e) => setDays(Number(e.currentTarget.value))}
            />
            <Buttons of={submit} action={t('createToken')} onClose={onClose} />
          </Stack>
        </form>
      )}
    </Drawer>
  );
}
