import { Anchor, Group, NumberInput, Radio, Stack, TextInput } from '@mantine/core';
import { create } from '@bufbuild/protobuf';
import { useQuery } from '@connectrpc/connect-query';
import { IconWorld } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { useEffect } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { Section } from '@/components/Page';
import { AccessSchema } from '@/gen/tollgate/control/v1/endpoint_pb';
import { KeyService } from '@/gen/tollgate/control/v1/key_pb';
import { count } from '@/lib/text';
import { t } from '@/text/endpoint-form';
import { useForm } from './context';
import { Messages } from './Field';
import classes from './AccessSection.module.css';

const word = 'public';

/** Who may call. To let everybody is said twice, and has a limit. */
export function AccessSection({ confirmed, onConfirm }: { confirmed: string; onConfirm: (text: string) => void }) {
  const form = useForm();
  const access = form.draft.access?.kind;
  const open = access?.case === 'public';
  const was = form.base?.access?.kind.case === 'public';
  const unsaid = open && !was && confirmed.trim().toLowerCase() !== word;
  const { local } = form;
  useEffect(() => {
    local('access.confirm', unsaid ? t('confirmPublicError', { word }) : '');
    return () => local('access.confirm', '');
  }, [local, unsaid]);
  const wrong = form.wrong('access.confirm');
  const limit = access?.case === 'public' ? access.value.requestsPerMinute : 0n;
  const burst = access?.case === 'public' ? access.value.burst : 0n;
  const set = (change: { requestsPerMinute?: bigint; burst?: bigint }) =>
    form.change((e) => {
      if (e.access?.kind.case === 'public') Object.assign(e.access.kind.value, change);
    });
  return (
    <Section title={t('access')}>
      <Radio.Group
        aria-label={t('access')}
        value={open ? 'public' : 'keys'}
        onChange={(v) =>
          form.change((e) => {
            e.access = create(AccessSchema, { kind: v === 'public' ? { case: 'public', value: {} } : { case: 'keys', value: {} } });
          })
        }
      >
        <Stack gap={10} pt={4}>
          <Radio disabled={form.disabled} value="keys" label={t('anyKey')} description={<WhoMay />} />
          <Radio disabled={form.disabled} value="public" label={t('noKey')} />
        </Stack>
      </Radio.Group>
      {open ? (
        <div className={classes.open}>
          <div className={classes.banner}>
            <IconWorld size={18} aria-hidden />
            <strong>{t('publicBanner')}</strong>
          </div>
          <Group gap="md" align="flex-start">
            <NumberInput
              label={t('requestsPerMinute')}
              description={t('requestsPerMinuteHint')}
              data-field="access.public.requests_per_minute"
              required
              min={1}
              max={1_000_000_000}
              allowDecimal={false}
              thousandSeparator=","
              w={210}
              value={limit ? limit.toString() : ''}
              onChange={(v) => set({ requestsPerMinute: v === '' ? 0n : BigInt(v) })}
              onBlur={() => form.touch('access.public')}
              error={form.wrong('access.public').length > 0}
              disabled={form.disabled}
            />
            <NumberInput
              label={t('burst')}
              description={t('burstHint')}
              min={0}
              allowDecimal={false}
              thousandSeparator=","
              w={210}
              value={burst ? burst.toString() : ''}
              onChange={(v) => set({ burst: v === '' ? 0n : BigInt(v) })}
              disabled={form.disabled}
            />
            {was ? null : (
              <TextInput
                label={t('confirmPublic', { word })}
                description={t('confirmPublicHint')}
                data-field="access.confirm"
                required
                w={210}
                value={confirmed}
                onChange={(e) => onConfirm(e.currentTarget.value)}
                onBlur={() => form.touch('access.confirm')}
                error={wrong[0]?.text}
                disabled={form.disabled}
                autoComplete="off"
                autoCapitalize="off"
                spellCheck={false}
              />
            )}
          </Group>
          <Messages field="access" among={(w) => w.field !== 'access.confirm' && w.code !== 'public'} />
        </div>
      ) : null}
    </Section>
  );
}

// Keys say which endpoints they may call, and not the other way round.
function WhoMay() {
  const { draft, base } = useForm();
  const { may } = useCaller();
  const { data } = useQuery(KeyService.method.listKeys, { pageSize: 1000 }, { enabled: may(Permission.KEYS_READ), staleTime: 60_000 });
  if (!data) return <>{t('anyKeyHint')}</>;
  const name = base?.name ?? draft.name;
  const live = data.keys.filter((k) => !k.revokeTime && !k.blocked);
  const n = live.filter((k) => !k.restricted || k.endpoints.includes(name)).length;
  return (
    <>
      {t('whoMay', { n, all: count(live.length) + (data.nextPageToken ? '+' : '') })}{' '}
      <Anchor component={Link} to="/keys" size="xs" inherit underline="always">
        {t('restrictKeys')}
      </Anchor>
    </>
  );
}
