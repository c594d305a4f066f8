import { Alert, Button, Checkbox, Group, Stack, Text, Tooltip } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { IconAlertTriangle } from '@tabler/icons-react';
import { useMemo, useState } from 'react';
import { clientOf, refresh } from '@/api/client';
import { problemOf } from '@/api/errors';
import { useOnline } from '@/app/Offline';
import { Section } from '@/components/Page';
import { Plan } from '@/components/Plan';
import { Failure, Lines, Soon } from '@/components/Region';
import { Chip } from '@/components/Status';
import { BudgetService } from '@/gen/tollgate/control/v1/budget_pb';
import { type ApplyResponse, ChangeKind, ConfigService } from '@/gen/tollgate/control/v1/config_pb';
import { EndpointService } from '@/gen/tollgate/control/v1/endpoint_pb';
import { KeyService } from '@/gen/tollgate/control/v1/key_pb';
import { LimitService } from '@/gen/tollgate/control/v1/limit_pb';
import { ModelService } from '@/gen/tollgate/control/v1/model_pb';
import { TeamService } from '@/gen/tollgate/control/v1/team_pb';
import { t } from '@/text/import';
import { t as settings } from '@/text/settings';
import classes from '../Settings.module.css';
import { Environment } from './Environment';
import type { Chosen } from './Source';

const config = clientOf(ConfigService);

/** What the chosen files would change, and the button that does it. */
export function Planned({ files, onClear, onApplied }: { files: Chosen[]; onClear: () => void; onApplied: (result: ApplyResponse) => void }) {
  const online = useOnline();
  const [options, setOptions] = useState({ prune: false, takeOver: false, acceptGuardrailLoss: false });
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const [id] = useState(() => crypto.randomUUID());
  const guarded = useMemo(() => files.some((f) => /guardrails?\s*:/.test(new TextDecoder().decode(f.text))), [files]);
  const query = useQuery({
    // The text of files may hold secrets, and stays out of what the cache is known by.
    queryKey: ['plan', id, options],
    queryFn: ({ signal }) => config.plan({ input: { files: files.map((f) => ({ name: f.name, text: f.text })), ...options } }, { signal }),
    retry: false,
    staleTime: Infinity,
    gcTime: 0,
    refetchOnWindowFocus: false,
    placeholderData: (before) => before,
  });
  const set = (more: Partial<typeof options>) => {
    setError(undefined);
    setOptions((o) => ({ ...o, ...more }));
  };
  const plan = query.error ? undefined : query.data;
  const n = plan?.changes.filter((c) => c.change !== ChangeKind.NONE).length ?? 0;
  const apply = async () => {
    if (!plan || busy) return;
    setBusy(true);
    setError(undefined);
    try {
      const result = await config.apply({ what: { case: 'planId', value: plan.planId } });
      onApplied(result);
      await refresh(ConfigService, EndpointService, KeyService, TeamService, BudgetService, LimitService, ModelService);
    } catch (err) {
      setError(err);
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <Section
        title={t('plan')}
        actions={
          <Button variant="default" onClick={onClear}>
            {t('clear')}
          </Button>
        }
      >
        <Stack gap="md">
          <Group gap={8}>
            {files.map((f) => (
              <Chip key={f.name}>{f.name}</Chip>
            ))}
            {plan ? <Text size="sm" className="dim">{`${t('owner', { owner: plan.owner })} ${t('against', { revision: String(plan.revision) })}`}</Text> : null}
          </Group>
          {query.isPending ? (
            <Soon>
              <Lines n={6} />
            </Soon>
          ) : null}
          {query.error ? <Refused error={query.error} /> : null}
          {plan ? (
            <>
              <Plan changes={plan.changes} notes={plan.notes} />
              <Environment changes={plan.changes} revision={plan.revision} applied={false} />
            </>
          ) : null}
          <fieldset className={classes.fieldset}>
            <legend>{t('options')}</legend>
            <Checkbox label={t('prune')} checked={options.prune} onChange={(e) => set({ prune: e.currentTarget.checked })} />
            <Checkbox label={t('takeOver')} checked={options.takeOver} onChange={(e) => set({ takeOver: e.currentTarget.checked })} />
            {guarded ? <Checkbox label={t('guardrails')} checked={options.acceptGuardrailLoss} onChange={(e) => set({ acceptGuardrailLoss: e.currentTarget.checked })} /> : null}
          </fieldset>
          {error ? <Failure error={error} fix={<Button size="compact-xs" variant="default" onClick={() => (setError(undefined), void query.refetch())}>{t('again')}</Button>} /> : null}
        </Stack>
      </Section>
      {plan && n ? (
        <div className={classes.foot}>
          <span className="dim">{t('against', { revision: String(plan.revision) })}</span>
          <Tooltip label={settings('offline')} disabled={online}>
            <Button loading={busy} data-disabled={!online || undefined} aria-disabled={!online || undefined} disabled={query.isFetching} onClick={() => online && void apply()}>
              {t('applyN', { n })}
            </Button>
          </Tooltip>
        </div>
      ) : null}
    </>
  );
}

/** What is wrong with the files, each with its line. */
function Refused({ error }: { error: unknown }) {
  const p = problemOf(error);
  if (!p.violations.length) return <Failure error={error} />;
  return (
    <Alert color="red" variant="outline" role="alert" icon={<IconAlertTriangle size={18} aria-hidden />} title={t('refused', { n: p.violations.length })}>
      <ul className={classes.env}>
        {p.violations.map((v) => (
          <li key={v.field + v.text}>
            <span className="mono">{v.field}</span>
            <span className="wrap">{v.text}</span>
          </li>
        ))}
      </ul>
    </Alert>
  );
}
