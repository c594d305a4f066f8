import { Alert, Button, Group, SegmentedControl, Stack, Text } from '@mantine/core';
import { useQuery } from '@connectrpc/connect-query';
import { IconCheck, IconCopy, IconDownload, IconEye, IconEyeOff, IconPlayerPlay } from '@tabler/icons-react';
import { useEffect, useRef, useState } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { EndpointService } from '@/gen/tollgate/control/v1/endpoint_pb';
import { emptyDraft } from '@/pages/requests/try/draft';
import { openTry } from '@/pages/requests/try/TryDrawer';
import { useGateway } from '@/pages/requests/useGateway';
import { t } from '@/text/access';
import classes from '../Access.module.css';
import { copyText } from './clipboard';
import { download, envFile, type Language, snippet } from './facts';
import type { Shown } from './useShownOnce';

const languages: Language[] = ['curl', 'python', 'javascript'];
const veil = (secret: string) => `${secret.slice(0, 4)}${'•'.repeat(20)}${secret.slice(-4)}`;

/** A key that was just made, with all that is needed to use it. */
export function ShownOnce({ made, secret, warning, onTaken, onDone }: Shown & { onTaken: () => void; onDone: () => void }) {
  const { may } = useCaller();
  const [visible, setVisible] = useState(false);
  const [copied, setCopied] = useState<'key' | 'code' | 'failed'>();
  const [language, setLanguage] = useState<Language>('curl');
  const gateway = useGateway();
  const copyButton = useRef<HTMLButtonElement>(null);
  useEffect(() => copyButton.current?.focus(), []);
  const endpoints = useQuery(EndpointService.method.listEndpoints, { pageSize: 200 }, { enabled: may(Permission.CONFIG_READ), staleTime: 60_000 });
  const first = endpoints.data?.endpoints.find((e) => !e.disabled && (made.restricted ? made.endpoints.includes(e.name) : true));
  const url = gateway + (first?.path ?? '/');
  const take = (what: 'key' | 'code', text: string) =>
    void copyText(text).then((done) => {
      setCopied(done ? what : 'failed');
      if (done) onTaken();
      else setVisible(true);
    });
  return (
    <Stack gap="md" className={classes.once}>
      {warning ? <Alert color="yellow" variant="light" className={classes.warning} role="alert">{warning}</Alert> : null}
      <Text size="sm">{t(secret ? 'onceText' : 'onceImported')}</Text>
      {secret ? (
        <>
          <div className={classes.secret}>
            <output
              className={`mono ${classes.secretText}`}
              aria-label={t('secretLabel')}
              // Marking it and copying it by hand is copying as well.
              onCopy={onTaken}
            >
              {visible ? secret : veil(secret)}
            </output>
            <Group gap={6} className={classes.secretTools}>
              <Button ref={copyButton} leftSection={copied === 'key' ? <IconCheck size={14} aria-hidden /> : <IconCopy size={14} aria-hidden />} onClick={() => take('key', secret)}>
                {t(copied === 'key' ? 'copiedKey' : 'copyKey')}
              </Button>
              <Button variant="default" aria-pressed={visible} leftSection={visible ? <IconEyeOff size={14} aria-hidden /> : <IconEye size={14} aria-hidden />} onClick={() => setVisible(!visible)}>
                {t(visible ? 'hideKey' : 'showKey')}
              </Button>
              <Button
                variant="default"
                leftSection={<IconDownload size={14} aria-hidden />}
                onClick={() => {
                  download(`${made.name}.env`, envFile(gateway, secret));
                  onTaken();
                }}
              >
                {t('downloadEnv')}
              </Button>
            </Group>
            <span role="status" className={copied === 'failed' ? 'warn' : 'visually-hidden'}>
              {copied === 'failed' ? t('copyFailed') : copied ? t('copiedKey') : ''}
            </span>
          </div>
          <div>
            <Group justify="space-between" gap={8} mb={8}>
              <Text fw={600} size="sm" component="h3" m={0}>
                {t('firstRequest')}
              </Text>
              <Group gap={6}>
                <SegmentedControl aria-label={t('language')} value={language} onChange={(v) => setLanguage(v as Language)} data={languages.map((l) => ({ value: l, label: t(`lang_${l}`) }))} />
                <Button variant="default" leftSection={copied === 'code' ? <IconCheck size={14} aria-hidden /> : <IconCopy size={14} aria-hidden />} onClick={() => take('code', snippet(language, url, secret))}>
                  {t('copyCode')}
                </Button>
              </Group>
            </Group>
            <pre className={`mono ${classes.code}`} tabIndex={0} aria-label={t('firstRequest')} onCopy={visible ? onTaken : undefined}>
              {snippet(language, url, visible ? secret : veil(secret))}
            </pre>
          </div>
        </>
      ) : null}
      <Group justify="space-between" gap="xs">
        {first && may(Permission.TRY) ? (
          <Button variant="default" leftSection={<IconPlayerPlay size={14} aria-hidden />} onClick={() => openTry(first.name, { ...emptyDraft, key: made.name, body: '{}' })}>
            {t('tryNow')}
          </Button>
        ) : (
          <span />
        )}
        <Button variant="default" onClick={onDone}>
          {t('done')}
        </Button>
      </Group>
    </Stack>
  );
}
