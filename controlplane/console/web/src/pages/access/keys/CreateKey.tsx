import { Accordion, Drawer, NativeSelect, NumberInput, Select, Stack, Text, TextInput } from '@mantine/core';
import { useQuery } from '@connectrpc/connect-query';
import { useEffect, useMemo, useState } from 'react';
import { clientOf, refresh } from '@/api/client';
import { problemOf, type Violation } from '@/api/errors';
import { Permission, useCaller } from '@/api/caller';
import { zone } from '@/app/preferences';
import { MoneyInput } from '@/components/MoneyInput';
import { BudgetService, Enforcement, Period } from '@/gen/tollgate/control/v1/budget_pb';
import { type Key, KeyService } from '@/gen/tollgate/control/v1/key_pb';
import { LimitKind, LimitService } from '@/gen/tollgate/control/v1/limit_pb';
import { SettingsService } from '@/gen/tollgate/control/v1/settings_pb';
import { TeamService } from '@/gen/tollgate/control/v1/team_pb';
import { exact, nanos } from '@/lib/money';
import { list } from '@/lib/text';
import { zoneId } from '@/lib/time';
import { dayIn } from '@/lib/usage';
import { t } from '@/text/access';
import { t as shell } from '@/text/shell';
import classes from '../Access.module.css';
import { Buttons, useSubmit, Wrong } from '../submit';
import { useBudgets } from '../useFigures';
import { useMayKeys } from '../useMay';
import { createRequest, type Draft, emptyDraft, like, periods } from './draft';
import { EndpointsField, ExpiryField, MoreFields, TeamField, useTeamNames } from './KeyFields';
import { type Shown, useShownOnce } from './useShownOnce';

const kept = 'tollgate-draft-key';
const fields = ['name', 'team', 'endpoints', 'budget', 'rate', 'expire_time', 'description', 'models', 'methods', 'networks', 'tags', 'customer'];
const keys = clientOf(KeyService);
const nameForm = /^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$/;

/** The drawer in which a key is made, and in which it is then shown once. */
export function CreateKey({ team, onClose }: { team?: string | undefined; onClose: () => void }) {
  const [shown, setShown] = useState<Shown>();
  const once = useShownOnce(shown, onClose);
  return (
    <Drawer opened onClose={shown ? once.close : onClose} size="min(560px, 100vw)" title={<Text fw={600} component="span">{shown ? t('created', { name: shown.made.name }) : t('createKey')}</Text>} closeButtonProps={{ 'aria-label': shell('close') }}>
      {shown ? once.panel : <Form team={team} onClose={onClose} onMade={setShown} />}
    </Drawer>
  );
}

function readDraft(): Draft | undefined {
  try {
    const text = sessionStorage.getItem(kept);
    return text ? { ...emptyDraft, ...(JSON.parse(text) as Draft) } : undefined;
  } catch {
    return undefined;
  }
}

function Form({ team, onClose, onMade }: { team?: string | undefined; onClose: () => void; onMade: (shown: Shown) => void }) {
  const timeZone = zoneId(zone.use());
  const [draft, setDraft] = useState<Draft>(() => readDraft() ?? { ...emptyDraft, team: team ?? '' });
  const [touched, setTouched] = useState(() => readDraft() !== undefined);
  const submit = useSubmit(fields);
  const mine = useMayKeys();
  const teams = useTeamNames();
  const set = (change: Partial<Draft>) => {
    setTouched(true);
    setDraft((d) => ({ ...d, ...change }));
  };
  useEffect(() => {
    try {
      if (touched) sessionStorage.setItem(kept, JSON.stringify(draft));
    } catch {
      // A draft that cannot be kept is lost with the page, and no more.
    }
  }, [draft, touched]);
  useDefaults(!touched, (change) => setDraft((d) => ({ ...d, ...change })));
  // Who looks after one team only makes keys of that team.
  useEffect(() => {
    if (!mine.all && teams.length === 1 && !draft.team) setDraft((d) => ({ ...d, team: teams[0]! }));
  }, [mine.all, teams, draft.team]);

  const check = (): Violation[] => {
    const wrong: Violation[] = [];
    const name = draft.name.trim();
    if (!name) wrong.push({ field: 'name', code: 'required', text: t('nameMissing') });
    else if (!nameForm.test(name)) wrong.push({ field: 'name', code: 'name', text: t('nameForm') });
    if (!mine.all && !draft.team) wrong.push({ field: 'team', code: 'required', text: t('teamMissing') });
    if (draft.expires === 'date' && !draft.date) wrong.push({ field: 'expire_time', code: 'required', text: t('dateMissing') });
    return wrong;
  };
  const go = () =>
    submit.send(async () => {
      const made = await keys.createKey(createRequest(draft, Date.now(), timeZone));
      sessionStorage.removeItem(kept);
      // The key is there; what belongs to it and fails must not hide its secret.
      const warning = draft.rate ? await limit(made.key!, BigInt(draft.rate)) : undefined;
      void refresh(KeyService, BudgetService, LimitService, TeamService);
      onMade({ made: made.key!, secret: made.secret, warning });
    }, check());
  const taken = submit.problem?.code === 'already_exists' && !submit.problem.violations.length;
  return (
    <form
      ref={submit.form}
      noValidate
      onKeyDown={submit.onKeyDown}
      onSubmit={(e) => {
        e.preventDefault();
        void go();
      }}
    >
      <Stack gap="sm">
        {taken ? null : <Wrong of={submit} fields={fields} />}
        <SameAs onPick={(d) => set(d)} />
        <TextInput
          label={t('name')}
          data-field="name"
          data-autofocus
          required
          value={draft.name}
          placeholder={t('nameHint')}
          autoComplete="off"
          spellCheck={false}
          error={submit.at('name') ?? (taken ? submit.problem!.message : undefined)}
          onChange={(e) => set({ name: e.currentTarget.value })}
        />
        <TeamField draft={draft} set={set} submit={submit} />
        <Inherited team={draft.team} />
        <EndpointsField
          label={t('canCall')}
          value={draft.endpoints}
          placeholder={t('allEndpoints')}
          description={draft.endpoints.length ? t('onlyThese') : t('allAlsoLater')}
          error={submit.at('endpoints')}
          onChange={(endpoints) => set({ endpoints, restricted: endpoints.length > 0 })}
        />
        <fieldset className={classes.fieldset}>
          <legend>{t('budget')}</legend>
          <div className={classes.budgetRow}>
            <MoneyInput
              aria-label={t('budgetAmount')}
              data-field="budget"
              placeholder={t('noBudget')}
              value={draft.amount ? BigInt(draft.amount) : undefined}
              onChange={(n) => set({ amount: n === undefined ? '' : String(n) })}
              error={submit.at('budget')}
            />
            <NativeSelect aria-label={t('budgetPeriod')} value={draft.period} data={periods.map((p) => ({ value: String(p), label: t(`per_${Period[p] as 'DAY' | 'WEEK' | 'MONTH' | 'TOTAL'}`) }))} onChange={(e) => set({ period: Number(e.currentTarget.value) })} />
            <NativeSelect
              aria-label={t('budgetEnforcement')}
              value={draft.hard ? 'hard' : 'soft'}
              data={[
                { value: 'hard', label: t('hard') },
                { value: 'soft', label: t('soft') },
              ]}
              onChange={(e) => set({ hard: e.currentTarget.value === 'hard' })}
            />
          </div>
          {draft.amount ? <div className="dim">{t(draft.hard ? 'hardText' : 'softText')}</div> : null}
        </fieldset>
        <NumberInput
          label={t('rate')}
          data-field="rate"
          value={draft.rate === '' ? '' : Number(draft.rate)}
          placeholder={t('noLimit')}
          min={1}
          max={1_000_000_000}
          allowDecimal={false}
          allowNegative={false}
          hideControls
          thousandSeparator=","
          rightSection={<span className={classes.unit}>{t('perMinute')}</span>}
          rightSectionWidth={90}
          error={submit.at('rate')}
          onChange={(v) => set({ rate: v === '' ? '' : String(v) })}
        />
        <ExpiryField draft={draft} set={set} submit={submit} />
        <Accordion variant="default" classNames={{ control: classes.moreControl!, content: classes.moreContent! }}>
          <Accordion.Item value="more">
            <Accordion.Control>{t('moreFields')}</Accordion.Control>
            <Accordion.Panel>
              <Stack gap="sm">
                <MoreFields draft={draft} set={set} submit={submit} />
              </Stack>
            </Accordion.Panel>
          </Accordion.Item>
        </Accordion>
        <Buttons
          of={submit}
          action={t('create')}
          onClose={() => {
            sessionStorage.removeItem(kept);
            onClose();
          }}
        />
      </Stack>
    </form>
  );
}

async function limit(key: Key, amount: bigint): Promise<string | undefined> {
  try {
    await clientOf(LimitService).createLimit({ limit: { name: `${key.name.slice(0, 58)}-rate`, scope: { case: 'key', value: key.id }, kind: LimitKind.REQUESTS, amount } });
    return undefined;
  } catch (err) {
    return t('limitFailed', { why: problemOf(err).message });
  }
}

// What the settings have for new keys stands in the form before anybody types.
function useDefaults(wanted: boolean, apply: (change: Partial<Draft>) => void): void {
  const { may } = useCaller();
  const timeZone = zoneId(zone.use());
  const { data } = useQuery(SettingsService.method.getSettings, {}, { enabled: wanted && may(Permission.CONFIG_READ), staleTime: 60_000 });
  useEffect(() => {
    const d = data?.settings?.newKeys;
    if (!wanted || !d) return;
    const usual = d.expireDays === 30 || d.expireDays === 90 ? { expires: String(d.expireDays) as '30' | '90', date: '' } : { expires: 'date' as const, date: dayIn(Date.now() + d.expireDays * 86_400_000, timeZone) };
    apply({
      ...(d.expireDays ? usual : {}),
      ...(d.budget ? { amount: String(nanos(d.budget.amount)), period: d.budget.period, hard: d.budget.enforcement !== Enforcement.SOFT } : {}),
    });
    // The settings are looked at when they come, and not with every change of the form.
  }, [data, wanted]); // oxlint-disable-line react-hooks/exhaustive-deps
}

/** What also bounds a key of a team. */
function Inherited({ team }: { team: string }) {
  const budgets = useBudgets('team');
  const { data } = useQuery(TeamService.method.getTeam, { team }, { enabled: !!team });
  const caps = budgets?.get(team) ?? [];
  const found = data?.team;
  if (!team || (!caps.length && !found?.restricted && !found?.blocked)) return null;
  return (
    <div className={classes.inherited} role="note">
      {found?.blocked ? <div className="bad">{t('teamBlocked', { team })}</div> : null}
      {caps.length ? (
        <div>
          {t('inherited', {
            team,
            caps: list(caps.map(({ budget }) => `${exact(nanos(budget.amount))}${t(`slash_${Period[budget.period] as 'MONTH'}`)}`)),
          })}
        </div>
      ) : null}
      {found?.restricted ? <div>{t('inheritedEndpoints', { team, endpoints: found.endpoints.length ? list(found.endpoints) : t('nothing') })}</div> : null}
    </div>
  );
}

/** Fills the form as another key has it. */
function SameAs({ onPick }: { onPick: (draft: Omit<Draft, 'name'>) => void }) {
  const timeZone = zoneId(zone.use());
  const [picked, setPicked] = useState<string | null>(null);
  const [search, setSearch] = useState('');
  const { data } = useQuery(KeyService.method.listKeys, { pageSize: 50, filter: search.replaceAll('"', '') });
  const byName = useMemo(() => new Map((data?.keys ?? []).map((k) => [k.name, k])), [data]);
  const budgets = useBudgets('key');
  const limits = useQuery(LimitService.method.listLimits, { filter: 'scope:key kind:requests', pageSize: 1000 });
  return (
    <Select
      size="xs"
      aria-label={t('sameAs')}
      placeholder={t('sameAs')}
      searchable
      clearable
      clearButtonProps={{ 'aria-label': t('clear') }}
      nothingFoundMessage={t('noKeys')}
      data={[...byName.keys()]}
      value={picked}
      onSearchChange={setSearch}
      onChange={(name) => {
        setPicked(name);
        const k = name ? byName.get(name) : undefined;
        if (k) onPick(like(k, budgets?.get(k.name)?.[0]?.budget, limits.data?.limits.find((l) => l.scope.value === k.name)?.amount, timeZone, Date.now()));
      }}
    />
  );
}
