import { Alert, Button, Checkbox, Group, Modal, NumberInput, Select, Stack, TagsInput, Text, TextInput, Tooltip } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useBlocker } from '@tanstack/react-router';
import { useState } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { clientOf, refresh } from '@/api/client';
import { problemOf } from '@/api/errors';
import { override } from '@/api/transport';
import { useOnline } from '@/app/Offline';
import { Conflict } from '@/components/Conflict';
import { Section } from '@/components/Page';
import { type Settings, SettingsService } from '@/gen/tollgate/control/v1/settings_pb';
import { SystemService } from '@/gen/tollgate/control/v1/system_pb';
import { useSubmit, Wrong } from '@/pages/access/submit';
import { t } from '@/text/general';
import { t as settings } from '@/text/settings';
import { t as shell } from '@/text/shell';
import { BudgetFields } from './BudgetFields';
import { changed, type Draft, draftOf, fieldsOf, maskOf, merge, settingsOf } from './draft';
import classes from './Settings.module.css';
import { shownValue, labelOf } from './words';

const zones = ['UTC', ...Intl.supportedValuesOf('timeZone').filter((z) => z !== 'UTC')];
const colors = ['', 'gray', 'blue', 'green', 'yellow', 'orange', 'red', 'purple'] as const;
const known = ['name', 'gateway_url', 'time_zone', 'environment', 'environment_color', 'customers', 'new_keys', 'headers', 'body_fields', 'budget', 'expire_days', 'most_expire_days', 'amount'];
const calls = clientOf(SettingsService);

/** The form of all general settings. What changed is saved together, and nothing else is touched. */
export function GeneralForm({ stored }: { stored: Settings }) {
  const { may } = useCaller();
  const online = useOnline();
  const write = may(Permission.SETTINGS_WRITE);
  // What the draft began with; the server's own may be newer.
  const [base, setBase] = useState(stored);
  const [draft, setDraft] = useState(() => draftOf(stored));
  const [theirs, setTheirs] = useState<Settings>();
  const fields = changed(draftOf(base), draft);
  const dirty = fields.length > 0;
  if (!dirty && stored.etag !== base.etag) {
    setBase(stored);
    setDraft(draftOf(stored));
  }
  const submit = useSubmit(known);
  const leaving = useBlocker({ shouldBlockFn: ({ current, next }) => dirty && current.pathname !== next.pathname, enableBeforeUnload: dirty, withResolver: true });
  const set = (more: Partial<Draft>) => setDraft((d) => ({ ...d, ...more }));
  const said = (...names: string[]) => names.flatMap((n) => [submit.at(n), submit.at(`settings.${n}`)]).find(Boolean);

  const store = async (d: Draft, onto: Settings) => {
    const res = await calls.updateSettings({ settings: settingsOf(d, onto), updateMask: { paths: maskOf(changed(draftOf(onto), d)) } }, { headers: onto.managedBy ? override : {} });
    setBase(res.settings!);
    setDraft(draftOf(res.settings!));
    setTheirs(undefined);
    notifications.show({ message: t('saved'), autoClose: 3000 });
    await refresh(SettingsService, SystemService);
  };
  const save = () =>
    submit.send(async () => {
      try {
        await store(draft, base);
      } catch (err) {
        if (problemOf(err).code !== 'stale_etag') throw err;
        const now = (await calls.getSettings({})).settings!;
        const { merged, both } = merge(draftOf(base), draftOf(now), draft);
        if (both.length) setTheirs(now);
        else await store(merged, now);
      }
    });
  return (
    <form
      ref={submit.form}
      noValidate
      onKeyDown={submit.onKeyDown}
      onSubmit={(e) => {
        e.preventDefault();
        if (dirty) void save();
      }}
    >
      <Stack gap="md">
        {base.managedBy ? <Alert color="yellow" variant="outline">{shell('managedBy', { file: base.managedBy })}</Alert> : null}
        <Wrong of={submit} fields={known.flatMap((f) => [f, `settings.${f}`])} />
        <fieldset className={classes.fieldset} disabled={!write} style={{ gap: 16 }}>
          <Section title={t('deployment')}>
            <div className={classes.form}>
              <TextInput data-field="name" label={t('name')} description={t('nameText')} placeholder={shell('product')} autoComplete="off" value={draft.name} error={said('name')} onChange={(e) => set({ name: e.currentTarget.value })} />
              <TextInput data-field="gateway_url" label={t('gatewayUrl')} description={t('gatewayUrlText')} placeholder={t('gatewayUrlExample')} autoComplete="off" value={draft.gatewayUrl} error={said('gateway_url')} onChange={(e) => set({ gatewayUrl: e.currentTarget.value })} />
              <Select data-field="time_zone" label={t('timeZone')} description={t('timeZoneText')} searchable limit={200} data={zones} value={draft.timeZone} error={said('time_zone')} onChange={(v) => v && set({ timeZone: v })} />
              <div className={classes.pair}>
                <TextInput data-field="environment" label={t('environment')} placeholder={t('environmentHint')} autoComplete="off" value={draft.environment} error={said('environment')} onChange={(e) => set({ environment: e.currentTarget.value })} />
                <Select data-field="environment_color" label={t('color')} data={colors.map((c) => ({ value: c, label: t(`color_${c}`) }))} value={draft.color} error={said('environment_color')} onChange={(v) => set({ color: v ?? '' })} />
              </div>
              <Text size="xs" className="dim" mt={-10}>{t('environmentText')}</Text>
            </div>
          </Section>
          <Section title={t('customers')}>
            <p className={classes.text}>{t('customersText')}</p>
            <div className={classes.form}>
              <TagsInput data-field="headers" label={t('headers')} placeholder={draft.headers.length ? undefined : t('headersHint')} value={draft.headers} error={said('customers.headers', 'headers')} onChange={(headers) => set({ headers })} maxTags={8} />
              <TagsInput data-field="body_fields" label={t('bodyFields')} description={t('bodyFieldsText')} placeholder={draft.bodyFields.length ? undefined : t('bodyFieldsHint')} value={draft.bodyFields} error={said('customers.body_fields', 'body_fields')} onChange={(bodyFields) => set({ bodyFields })} maxTags={8} />
              <Checkbox label={t('required')} checked={draft.required} onChange={(e) => set({ required: e.currentTarget.checked })} />
              <Checkbox label={t('create')} checked={draft.create} onChange={(e) => set({ create: e.currentTarget.checked })} />
              {draft.create ? (
                <BudgetFields
                  label={t('customerBudget')}
                  amount={draft.customerAmount}
                  period={draft.customerPeriod}
                  hard={draft.customerHard}
                  error={said('customers.budget')}
                  onChange={(m) => set({ customerAmount: m.amount ?? draft.customerAmount, customerPeriod: m.period ?? draft.customerPeriod, customerHard: m.hard ?? draft.customerHard })}
                />
              ) : null}
            </div>
          </Section>
          <Section title={t('keys')}>
            <p className={classes.text}>{t('keysText')}</p>
            <div className={classes.form}>
              <div className={classes.pair}>
                <NumberInput data-field="expire_days" label={t('keyExpire')} placeholder={t('never')} suffix={` ${t('days')}`} min={0} max={3650} allowDecimal={false} value={draft.keyExpire || ''} error={said('new_keys.expire_days', 'expire_days')} onChange={(v) => set({ keyExpire: Number(v) || 0 })} />
                <NumberInput data-field="most_expire_days" label={t('keyMost')} placeholder={t('any')} suffix={` ${t('days')}`} min={0} max={3650} allowDecimal={false} value={draft.keyMost || ''} error={said('new_keys.most_expire_days', 'most_expire_days')} onChange={(v) => set({ keyMost: Number(v) || 0 })} />
              </div>
              <BudgetFields
                label={t('keyBudget')}
                amount={draft.keyAmount}
                period={draft.keyPeriod}
                hard={draft.keyHard}
                error={said('new_keys.budget')}
                onChange={(m) => set({ keyAmount: m.amount ?? draft.keyAmount, keyPeriod: m.period ?? draft.keyPeriod, keyHard: m.hard ?? draft.keyHard })}
              />
            </div>
          </Section>
        </fieldset>
        {write ? null : <Text size="sm" className="dim">{settings('readOnly')}</Text>}
        {dirty ? (
          <div className={classes.foot}>
            <span>{t('unsaved')}</span>
            <Button variant="default" onClick={() => (submit.clear(), setDraft(draftOf(base)))}>
              {t('discard')}
            </Button>
            <Tooltip label={settings('offline')} disabled={online}>
              <Button type="submit" loading={submit.busy} data-disabled={!online || undefined} aria-disabled={!online || undefined}>
                {t('save')}
              </Button>
            </Tooltip>
          </div>
        ) : null}
      </Stack>
      {theirs ? (
        <Review
          base={draftOf(base)}
          theirs={draftOf(theirs)}
          mine={draft}
          onClose={() => setTheirs(undefined)}
          onTake={(merged) => submit.send(() => store(merged, theirs))}
        />
      ) : null}
      {leaving.status === 'blocked' ? (
        <Modal opened onClose={leaving.reset} title={<Text fw={600} component="span">{t('leaveTitle')}</Text>} closeButtonProps={{ 'aria-label': shell('close') }}>
          <Stack gap="sm">
            <Text size="sm">{t('leaveText')}</Text>
            <Group justify="flex-end" gap="xs">
              <Button variant="default" onClick={leaving.proceed}>{t('leave')}</Button>
              <Button data-autofocus onClick={leaving.reset}>{t('stay')}</Button>
            </Group>
          </Stack>
        </Modal>
      ) : null}
    </form>
  );
}

function Review({ base, theirs, mine, onTake, onClose }: { base: Draft; theirs: Draft; mine: Draft; onTake: (merged: Draft) => Promise<unknown>; onClose: () => void }) {
  const { merged, both } = merge(base, theirs, mine);
  const touched = fieldsOf.filter((f) => changed(base, theirs).includes(f) || changed(base, mine).includes(f));
  return (
    <Conflict
      who={t('who')}
      onClose={onClose}
      fields={touched.map((f) => ({
        field: f,
        label: labelOf(f),
        base: shownValue(f, base),
        theirs: shownValue(f, theirs),
        mine: shownValue(f, mine),
        both: both.includes(f),
        taken: changed(base, mine).includes(f) ? 'mine' : 'theirs',
      }))}
      onResolve={async (choices) => {
        const taken = { ...merged };
        for (const f of both) if (choices[f] === 'theirs') Object.assign(taken, { [f]: theirs[f] });
        await onTake(taken);
      }}
    />
  );
}
