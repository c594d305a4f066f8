import { create } from '@bufbuild/protobuf';
import { Select, TextInput } from '@mantine/core';
import { ForwardHeaders, HostHeaderSchema } from '@/gen/tollgate/control/v1/endpoint_pb';
import { t } from '@/text/endpoint-form';
import { useForm } from '../context';
import { examples } from '../examples';
import { Field } from '../Field';
import classes from '../Field.module.css';
import { ChoiceField, SwitchField, TextField } from './Inputs';

/** What of a caller's request goes along. */
export function Forwarding() {
  const form = useForm();
  const { draft, change } = form;
  const host = draft.hostHeader?.kind.case ?? 'target';
  return (
    <>
      <ChoiceField
        field="forward_headers"
        label={t('forwardHeaders')}
        hint={t('forwardHeadersHint')}
        value={draft.forwardHeaders || ForwardHeaders.SAFE_LIST}
        options={[
          [ForwardHeaders.SAFE_LIST, t('forwardSafe')],
          [ForwardHeaders.ALL, t('forwardAll')],
          [ForwardHeaders.NONE, t('forwardNone')],
        ]}
        onChange={(n) => change((e) => void (e.forwardHeaders = n))}
      />
      <Field field="host_header" label={t('hostHeader')}>
        {(bound) => (
          <div className={classes.pair}>
            <Select
              {...bound}
              value={host}
              data={[
                { value: 'target', label: t('hostTarget') },
                { value: 'caller', label: t('hostCaller') },
                { value: 'text', label: t('hostText') },
              ]}
              onChange={(v) =>
                change((e) => {
                  e.hostHeader = create(HostHeaderSchema, { kind: v === 'text' ? { case: 'text', value: '' } : { case: v === 'caller' ? 'caller' : 'target', value: {} } });
                })
              }
            />
            {draft.hostHeader?.kind.case === 'text' ? (
              <TextInput
                aria-label={t('hostText')}
                disabled={form.disabled}
                classNames={{ input: 'mono' }}
                value={draft.hostHeader.kind.value}
                onChange={(e) => {
                  const text = e.currentTarget.value;
                  change((d) => {
                    if (d.hostHeader?.kind.case === 'text') d.hostHeader.kind.value = text;
                  });
                }}
              />
            ) : null}
          </div>
        )}
      </Field>
      <TextField field="key_header" label={t('keyHeader')} hint={t('keyHeaderHint')} placeholder={examples.keyHeader} mono value={draft.keyHeader} onChange={(v) => change((e) => void (e.keyHeader = v.trim()))} />
      <SwitchField field="pass_headers" label={t('passHeaders')} hint={t('passHeadersHint')} value={draft.passHeaders} onChange={(on) => change((e) => void (e.passHeaders = on))} />
      <SwitchField field="forward_trace_context" label={t('traceContext')} hint={t('traceContextHint')} value={draft.forwardTraceContext} onChange={(on) => change((e) => void (e.forwardTraceContext = on))} />
    </>
  );
}
