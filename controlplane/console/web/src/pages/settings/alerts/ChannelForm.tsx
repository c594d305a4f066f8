import { Anchor, Button, Checkbox, Drawer, Group, Input, Radio, Stack, Text, TextInput } from '@mantine/core';
import { useState } from 'react';
import { clientOf, refresh } from '@/api/client';
import type { Violation } from '@/api/errors';
import { ShownOnce, useShownOnce } from '@/components/ShownOnce';
import { type AlertChannel, AlertChannelKind, AlertService } from '@/gen/tollgate/control/v1/alert_pb';
import type { AttentionKind } from '@/gen/tollgate/control/v1/overview_pb';
import { Buttons, useSubmit, Wrong } from '@/pages/access/submit';
import { t } from '@/text/alerts';
import { t as shell } from '@/text/shell';
import classes from '../Settings.module.css';
import { events, eventText, kindWord, usual } from './facts';

const fields = ['name', 'kind', 'url', 'events'];
const calls = clientOf(AlertService);

/** A channel that is new, or one that is changed. Its URL is written and never read. */
export function ChannelForm({ channel, onClose }: { channel?: AlertChannel | undefined; onClose: () => void }) {
  const [secret, setSecret] = useState('');
  const [name, setName] = useState(channel?.name ?? '');
  const [kind, setKind] = useState(channel?.kind ?? AlertChannelKind.WEBHOOK);
  const [url, setUrl] = useState('');
  const [told, setTold] = useState<AttentionKind[]>(channel?.events ?? usual);
  const submit = useSubmit(fields);
  const once = useShownOnce(!!secret, onClose);
  const said = (f: string) => submit.at(f) ?? submit.at(`channel.${f}`);
  const taken = submit.problem?.code === 'already_exists' && !submit.problem.violations.length ? submit.problem.message : undefined;
  const check = (): Violation[] => [
    ...(name.trim() ? [] : [{ field: 'name', code: 'required', text: t('nameMissing') }]),
    ...(url.trim() || channel ? [] : [{ field: 'url', code: 'required', text: t('urlMissing') }]),
    ...(told.length ? [] : [{ field: 'events', code: 'required', text: t('eventsMissing') }]),
  ];
  const go = async () => {
    const done = await submit.send(async () => {
      const values = { name: name.trim(), kind, url: url.trim(), events: told };
      if (channel) {
        await calls.updateAlertChannel({ channel: { ...values, id: channel.id, etag: channel.etag }, updateMask: { paths: ['name', 'events', ...(values.url ? ['url'] : [])] } });
      } else {
        const { signingSecret } = await calls.createAlertChannel({ channel: values });
        // The drawer stays until the secret was taken.
        if (signingSecret) setSecret(signingSecret);
        else onClose();
      }
      await refresh(AlertService);
    }, check());
    if (done && channel) onClose();
  };
  return (
    <Drawer
      opened
      onClose={secret ? once.close : onClose}
      size="min(560px, 100vw)"
      title={<Text fw={600} component="span">{secret ? t('secret', { name: name.trim() }) : channel ? t('editTitle', { name: channel.name }) : t('createTitle')}</Text>}
      closeButtonProps={{ 'aria-label': shell('close') }}
    >
      {secret ? (
        <Stack gap="md">
          <ShownOnce label={t('secret', { name: name.trim() })} text={t('secretText')} secrets={[{ name: '', value: secret }]} onTaken={once.taken} />
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
            {taken ? null : <Wrong of={submit} fields={[...fields, ...fields.map((f) => `channel.${f}`)]} />}
            <TextInput data-autofocus data-field="name" label={t('name')} description={t('nameText')} placeholder={t('nameHint')} required autoComplete="off" spellCheck={false} value={name} error={said('name') ?? taken} onChange={(e) => setName(e.currentTarget.value)} />
            {channel ? null : (
              <Radio.Group label={t('kind')} value={String(kind)} onChange={(v) => setKind(Number(v))} error={said('kind')}>
                <Stack gap={10} mt={6}>
                  {[AlertChannelKind.WEBHOOK, AlertChannelKind.SLACK].map((k) => (
                    <Radio key={k} value={String(k)} label={t(`kind_${kindWord(k)}`)} description={t(`kindText_${kindWord(k)}`)} />
                  ))}
                </Stack>
              </Radio.Group>
            )}
            <TextInput
              data-field="url"
              label={t('url')}
              description={channel ? t('urlKeep', { host: channel.host }) : t('urlText')}
              placeholder={t('urlExample')}
              required={!channel}
              autoComplete="off"
              spellCheck={false}
              value={url}
              error={said('url')}
              onChange={(e) => setUrl(e.currentTarget.value)}
            />
            <div role="group" aria-label={t('events')}>
              <Group justify="space-between" mb={8}>
                <Text size="sm" fw={500}>{t('events')}</Text>
                <Group gap={12}>
                  <Anchor component="button" type="button" size="xs" onClick={() => setTold([...events])}>{t('all')}</Anchor>
                  <Anchor component="button" type="button" size="xs" onClick={() => setTold([])}>{t('noneOf')}</Anchor>
                </Group>
              </Group>
              <div className={classes.events}>
                {events.map((k, i) => (
                  <Checkbox
                    key={k}
                    data-field={i === 0 ? 'events' : undefined}
                    label={eventText(k)}
                    checked={told.includes(k)}
                    onChange={(e) => setTold(e.currentTarget.checked ? [...told, k] : told.filter((x) => x !== k))}
                  />
                ))}
              </div>
              {said('events') ? <Input.Error mt={8}>{said('events')}</Input.Error> : null}
            </div>
            <Buttons of={submit} action={channel ? t('save') : t('create')} onClose={onClose} />
          </Stack>
        </form>
      )}
    </Drawer>
  );
}
