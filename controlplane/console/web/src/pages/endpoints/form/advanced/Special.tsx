import { create } from '@bufbuild/protobuf';
import { useQuery } from '@connectrpc/connect-query';
import { MultiSelect, Select, Switch, Textarea } from '@mantine/core';
import { AdapterService } from '@/gen/tollgate/control/v1/adapter_pb';
import { ModelsSchema, TargetSchema } from '@/gen/tollgate/control/v1/endpoint_pb';
import { Schema } from '@/gen/tollgate/control/v1/schema_pb';
import { type AwsSigning, AwsSigningSchema } from '@/gen/tollgate/control/v1/signing_pb';
import { t } from '@/text/endpoint-form';
import { useForm } from '../context';
import { examples } from '../examples';
import { Field } from '../Field';
import classes from '../Field.module.css';
import { SwitchField, TextField } from './Inputs';

/** Signs requests for AWS. */
export function Signing() {
  const { draft, change, disabled } = useForm();
  const aws = draft.awsSigning;
  const edit = (f: (a: AwsSigning) => void) =>
    change((e) => {
      if (e.awsSigning) f(e.awsSigning);
    });
  return (
    <>
      <Switch
        label={t('aws')}
        description={t('awsHint')}
        checked={aws !== undefined}
        disabled={disabled}
        py={6}
        onChange={(ev) => {
          const on = ev.currentTarget.checked;
          change((e) => void (on ? (e.awsSigning = create(AwsSigningSchema)) : delete e.awsSigning));
        }}
      />
      {aws ? (
        <div className={classes.pair}>
          <TextField field="aws_signing.service" label={t('awsService')} placeholder={examples.service} mono value={aws.service} onChange={(v) => edit((a) => void (a.service = v.trim()))} />
          <TextField field="aws_signing.region" label={t('awsRegion')} placeholder={examples.region} mono value={aws.region} onChange={(v) => edit((a) => void (a.region = v.trim()))} />
          <TextField field="aws_signing.access_key_id" label={t('awsKey')} hint={t('orReference')} placeholder={examples.keyId} mono value={aws.accessKeyId} onChange={(v) => edit((a) => void (a.accessKeyId = v.trim()))} />
          <TextField field="aws_signing.secret_access_key" label={t('awsSecret')} hint={t('onlyReference')} placeholder={examples.secretKey} mono value={aws.secretAccessKey} onChange={(v) => edit((a) => void (a.secretAccessKey = v.trim()))} />
          <TextField field="aws_signing.session_token" label={t('awsToken')} hint={t('onlyReference')} mono value={aws.sessionToken} onChange={(v) => edit((a) => void (a.sessionToken = v.trim()))} />
          <TextField field="aws_signing.role_arn" label={t('awsRole')} placeholder={examples.role} mono value={aws.roleArn} onChange={(v) => edit((a) => void (a.roleArn = v.trim()))} />
          <TextField field="aws_signing.external_id" label={t('awsExternal')} hint={t('orReference')} mono value={aws.externalId} onChange={(v) => edit((a) => void (a.externalId = v.trim()))} />
          <TextField field="aws_signing.sts_url" label={t('awsSts')} placeholder={t('awsStsDefault')} mono value={aws.stsUrl} onChange={(v) => edit((a) => void (a.stsUrl = v.trim()))} />
        </div>
      ) : null}
    </>
  );
}

/** Serves models in place of targets. */
export function ServesModels() {
  const { draft, change, disabled } = useForm();
  const models = draft.models;
  const { data } = useQuery(AdapterService.method.listAdapters, {}, { enabled: models !== undefined });
  return (
    <>
      <Switch
        label={t('models')}
        description={t('modelsHint')}
        checked={models !== undefined}
        disabled={disabled}
        py={6}
        onChange={(ev) => {
          const on = ev.currentTarget.checked;
          change((e) => {
            if (on) {
              e.models = create(ModelsSchema);
              e.targets = [];
              delete e.price;
            } else {
              delete e.models;
              if (!e.targets.length) e.targets = [create(TargetSchema, { url: '' })];
            }
          });
        }}
      />
      {models ? (
        <>
          <Field field="models.schemas" label={t('schemas')}>
            {(bound) => (
              <MultiSelect
                {...bound}
                value={models.schemas.map(String)}
                placeholder={models.schemas.length ? undefined : t('allSchemas')}
                data={[
                  { value: String(Schema.OPENAI_CHAT), label: t('schemaChat') },
                  { value: String(Schema.ANTHROPIC_MESSAGES), label: t('schemaMessages') },
                  { value: String(Schema.OPENAI_RESPONSES), label: t('schemaResponses') },
                ]}
                disabled={disabled || models.adapter !== ''}
                onChange={(v) =>
                  change((e) => {
                    if (e.models) e.models.schemas = v.map(Number);
                  })
                }
              />
            )}
          </Field>
          <Field field="models.adapter" label={t('adapter')} hint={t('adapterHint')}>
            {(bound) => (
              <Select
                {...bound}
                value={models.adapter}
                data={[{ value: '', label: t('none') }, ...[...new Set([...(data?.adapters ?? []).map((a) => a.name), ...(models.adapter ? [models.adapter] : [])])].map((name) => ({ value: name, label: name }))]}
                onChange={(v) =>
                  change((e) => {
                    if (!e.models) return;
                    e.models.adapter = v ?? '';
                    if (v) e.models.schemas = [];
                  })
                }
              />
            )}
          </Field>
          <TextField
            field="models.default_model"
            label={t('defaultModel')}
            hint={t('defaultModelHint')}
            mono
            value={models.defaultModel}
            onChange={(v) =>
              change((e) => {
                if (e.models) e.models.defaultModel = v.trim();
              })
            }
          />
        </>
      ) : null}
    </>
  );
}

/** What it is for, and whether it begins switched off. */
export function About() {
  const { draft, base, change } = useForm();
  return (
    <>
      <Field field="description" label={t('description')}>
        {(bound) => (
          <Textarea
            {...bound}
            autosize
            minRows={1}
            maxRows={6}
            maxLength={1024}
            value={draft.description}
            onChange={(ev) => {
              const text = ev.currentTarget.value;
              change((e) => void (e.description = text));
            }}
          />
        )}
      </Field>
      {base ? null : <SwitchField field="disabled" label={t('startDisabled')} hint={t('startDisabledHint')} value={draft.disabled} onChange={(on) => change((e) => void (e.disabled = on))} />}
    </>
  );
}
