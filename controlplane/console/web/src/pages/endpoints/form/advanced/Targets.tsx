import { create } from '@bufbuild/protobuf';
import { ActionIcon, Button, Group, Textarea, TextInput } from '@mantine/core';
import { IconPlus, IconX } from '@tabler/icons-react';
import { HttpVersion, type Target, TargetSchema, type TargetTLS, TargetTLSSchema, TlsVersion } from '@/gen/tollgate/control/v1/endpoint_pb';
import { Balance } from '@/gen/tollgate/control/v1/resilience_pb';
import { t } from '@/text/endpoint-form';
import { useForm } from '../context';
import { examples } from '../examples';
import { Field } from '../Field';
import classes from '../Field.module.css';
import { ChoiceField, CountField, SwitchField, TextField } from './Inputs';

export const balances = (): [number, string][] => [
  [Balance.FAILOVER, t('balanceFailover')],
  [Balance.WEIGHTED, t('balanceWeighted')],
  [Balance.LEAST_IN_FLIGHT, t('balanceLeast')],
];

/** Further targets, how one is chosen, and how connections to each are made. */
export function Targets() {
  const { draft, change, disabled } = useForm();
  const several = draft.targets.length > 1;
  const edit = (i: number, f: (target: Target) => void) =>
    change((e) => {
      const target = e.targets[i];
      if (target) f(target);
    });
  return (
    <>
      {several ? (
        <ChoiceField field="balance" label={t('balance')} value={draft.balance || Balance.FAILOVER} options={balances()} onChange={(n) => change((e) => void (e.balance = n))} />
      ) : null}
      {draft.targets.map((target, i) => (
        <div key={i} className={classes.group}>
          {several ? <h4 className={classes.groupTitle}>{t('targetNumber', { n: i + 1 })}</h4> : null}
          {i > 0 ? (
            <Field field={`targets[${i}].url`} label={t('target')} required>
              {(bound) => (
                <Group gap={8} wrap="nowrap">
                  <TextInput
                    {...bound}
                    style={{ flex: 1 }}
                    classNames={{ input: 'mono' }}
                    value={target.url}
                    onChange={(e) => {
                      const text = e.currentTarget.value;
                      edit(i, (d) => void (d.url = text));
                    }}
                    autoComplete="off"
                    spellCheck={false}
                  />
                  <ActionIcon aria-label={t('removeTarget', { n: i + 1 })} disabled={disabled} onClick={() => change((e) => void e.targets.splice(i, 1))}>
                    <IconX size={16} aria-hidden />
                  </ActionIcon>
                </Group>
              )}
            </Field>
          ) : null}
          <div className={classes.pair}>
            {several && (draft.balance || Balance.FAILOVER) !== Balance.FAILOVER ? (
              <>
                <CountField field={`targets[${i}].weight`} label={t('weight')} placeholder={t('byDefault', { value: '1' })} max={1000} value={target.weight} onChange={(n) => edit(i, (d) => void (d.weight = n))} />
                <CountField field={`targets[${i}].priority`} label={t('priority')} placeholder={t('byDefault', { value: '0' })} max={15} value={target.priority} onChange={(n) => edit(i, (d) => void (d.priority = n))} />
              </>
            ) : null}
            <ChoiceField
              field={`targets[${i}].http_version`}
              label={t('httpVersion')}
              value={target.httpVersion}
              options={[
                [HttpVersion.HTTP_VERSION_UNSPECIFIED, t('httpAuto')],
                [HttpVersion.HTTP_VERSION_1_1, t('http1')],
                [HttpVersion.HTTP_VERSION_2, t('http2')],
              ]}
              onChange={(n) => edit(i, (d) => void (d.httpVersion = n))}
            />
          </div>
          {/^http:/i.test(target.url.trim()) && !target.tls ? null : <Tls at={`targets[${i}].tls`} tls={target.tls} onChange={(tls) => edit(i, (d) => void (tls ? (d.tls = tls) : delete d.tls))} />}
        </div>
      ))}
      {draft.targets.length < 8 ? (
        <Button size="compact-sm" variant="default" mt={4} leftSection={<IconPlus size={14} aria-hidden />} disabled={disabled} onClick={() => change((e) => void e.targets.push(create(TargetSchema, { url: '' })))}>
          {t('addTarget')}
        </Button>
      ) : null}
    </>
  );
}

function Tls({ at, tls, onChange }: { at: string; tls: TargetTLS | undefined; onChange: (tls: TargetTLS | undefined) => void }) {
  const now = tls ?? create(TargetTLSSchema);
  const set = (change: Partial<Pick<TargetTLS, 'caPem' | 'clientCertPem' | 'clientKey' | 'serverName' | 'minVersion' | 'skipVerify'>>) => {
    const next = create(TargetTLSSchema, { ...now, ...change });
    const used = next.caPem || next.clientCertPem || next.clientKey || next.serverName || next.minVersion || next.skipVerify;
    onChange(used ? next : undefined);
  };
  return (
    <>
      <div className={classes.pair}>
        <TextField field={`${at}.server_name`} label={t('serverName')} placeholder={t('serverNameDefault')} mono value={now.serverName} onChange={(v) => set({ serverName: v.trim() })} />
        <ChoiceField
          field={`${at}.min_version`}
          label={t('minTls')}
          value={now.minVersion}
          options={[
            [TlsVersion.TLS_VERSION_UNSPECIFIED, t('byDefault', { value: t('tls12') })],
            [TlsVersion.TLS_VERSION_1_2, t('tls12')],
            [TlsVersion.TLS_VERSION_1_3, t('tls13')],
          ]}
          onChange={(n) => set({ minVersion: n })}
        />
      </div>
      <Pem field={`${at}.ca_pem`} label={t('caPem')} hint={t('caPemHint')} value={now.caPem} onChange={(v) => set({ caPem: v })} />
      <Pem field={`${at}.client_cert_pem`} label={t('clientCert')} hint={t('clientCertHint')} value={now.clientCertPem} onChange={(v) => set({ clientCertPem: v })} />
      <TextField field={`${at}.client_key`} label={t('clientKey')} hint={t('onlyReference')} placeholder={examples.clientKey} mono value={now.clientKey} onChange={(v) => set({ clientKey: v.trim() })} />
      <SwitchField field={`${at}.skip_verify`} label={t('skipVerify')} hint={t('skipVerifyHint')} value={now.skipVerify} onChange={(on) => set({ skipVerify: on })} />
    </>
  );
}

function Pem({ field, label, hint, value, onChange }: { field: string; label: string; hint: string; value: string; onChange: (v: string) => void }) {
  return (
    <Field field={field} label={label} hint={hint}>
      {(bound) => <Textarea {...bound} classNames={{ input: 'mono' }} autosize minRows={1} maxRows={8} value={value} onChange={(e) => onChange(e.currentTarget.value)} spellCheck={false} autoComplete="off" />}
    </Field>
  );
}
