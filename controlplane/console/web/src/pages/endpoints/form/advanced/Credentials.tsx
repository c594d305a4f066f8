import { create } from '@bufbuild/protobuf';
import { ActionIcon, Button, Group } from '@mantine/core';
import { IconPlus, IconX } from '@tabler/icons-react';
import { type Credential, CredentialSchema, type Header, type QueryParameter } from '@/gen/tollgate/control/v1/endpoint_pb';
import { Balance } from '@/gen/tollgate/control/v1/resilience_pb';
import { t } from '@/text/endpoint-form';
import { useForm } from '../context';
import { Messages } from '../Field';
import classes from '../Field.module.css';
import { row } from '../lines';
import { Rows } from '../Rows';
import { ChoiceField, CountField, TextField } from './Inputs';
import { balances } from './Targets';

/** Vendor credentials that take turns. */
export function Credentials() {
  const { draft, change, disabled } = useForm();
  const edit = (i: number, f: (c: Credential) => void) =>
    change((e) => {
      const c = e.credentials[i];
      if (c) f(c);
    });
  const weighted = (draft.credentialBalance || Balance.FAILOVER) !== Balance.FAILOVER;
  return (
    <>
      {draft.credentials.length > 1 ? (
        <ChoiceField field="credential_balance" label={t('balance')} value={draft.credentialBalance || Balance.FAILOVER} options={balances()} onChange={(n) => change((e) => void (e.credentialBalance = n))} />
      ) : null}
      {draft.credentials.map((c, i) => (
        <div key={i} className={classes.group}>
          <Group justify="space-between">
            <h4 className={classes.groupTitle}>{c.name || t('credentialNumber', { n: i + 1 })}</h4>
            <ActionIcon aria-label={t('removeCredential', { name: c.name || i + 1 })} disabled={disabled} onClick={() => change((e) => void e.credentials.splice(i, 1))}>
              <IconX size={16} aria-hidden />
            </ActionIcon>
          </Group>
          <div className={classes.pair}>
            <TextField field={`credentials[${i}].name`} label={t('name')} value={c.name} onChange={(v) => edit(i, (d) => void (d.name = v.trim()))} />
            {weighted ? <CountField field={`credentials[${i}].weight`} label={t('weight')} placeholder={t('byDefault', { value: '1' })} max={1000} value={c.weight} onChange={(n) => edit(i, (d) => void (d.weight = n))} /> : null}
            {weighted ? <CountField field={`credentials[${i}].priority`} label={t('priority')} placeholder={t('byDefault', { value: '0' })} max={15} value={c.priority} onChange={(n) => edit(i, (d) => void (d.priority = n))} /> : null}
          </div>
          <Rows kind="header" rows={c.headers} field={`credentials[${i}].headers`} onChange={(rows) => edit(i, (d) => void (d.headers = rows as Header[]))} />
          <Rows kind="query" rows={c.query} field={`credentials[${i}].query`} onChange={(rows) => edit(i, (d) => void (d.query = rows as QueryParameter[]))} />
          <Messages field={`credentials[${i}]`} among={(w) => w.field === `credentials[${i}]`} />
          <Group gap={8} pt={8}>
            <Button size="compact-sm" variant="subtle" disabled={disabled} onClick={() => edit(i, (d) => void d.headers.push(row('header', '', '') as Header))}>{t('addHeader')}</Button>
            <Button size="compact-sm" variant="subtle" disabled={disabled} onClick={() => edit(i, (d) => void d.query.push(row('query', '', '') as QueryParameter))}>{t('addParameter')}</Button>
          </Group>
        </div>
      ))}
      {draft.credentials.length < 32 ? (
        <Button
          size="compact-sm"
          variant="default"
          mt={8}
          leftSection={<IconPlus size={14} aria-hidden />}
          disabled={disabled}
          onClick={() => change((e) => void e.credentials.push(create(CredentialSchema, { name: '', headers: [row('header', e.headers.find((h) => h.value.includes('${'))?.name ?? '', '') as Header] })))}
        >
          {t('addCredential')}
        </Button>
      ) : null}
    </>
  );
}
