import { Button, Group, Stack } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { Section } from '@/components/Page';
import { Plan } from '@/components/Plan';
import { ShownOnce, useShownOnce } from '@/components/ShownOnce';
import type { ApplyResponse } from '@/gen/tollgate/control/v1/config_pb';
import { t } from '@/text/import';
import { Environment } from './Environment';

/** What was done, and the secrets of keys that it made, this once. */
export function Applied({ result, onAgain }: { result: ApplyResponse; onAgain: () => void }) {
  const secrets = Object.entries(result.keySecrets).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const once = useShownOnce(secrets.length > 0, onAgain);
  return (
    <Section title={result.changes.length ? t('applied', { revision: String(result.revision) }) : t('nothingApplied')}>
      <Stack gap="md">
        {secrets.length ? (
          <ShownOnce
            label={t('keys')}
            text={t('keysText')}
            secrets={secrets.map(([name, value]) => ({ name, value }))}
            file={{ name: 'keys.env', text: envFile(secrets), label: t('downloadEnv') }}
            onTaken={once.taken}
          />
        ) : null}
        {once.question}
        <Plan changes={result.changes} notes={result.notes} done />
        <Environment changes={result.changes} revision={result.revision} applied />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={once.close}>
            {t('another')}
          </Button>
          <Button component={Link} to="/endpoints">
            {t('seeEndpoints')}
          </Button>
        </Group>
      </Stack>
    </Section>
  );
}

// As `tollgate apply --keys-out` writes them.
const envFile = (secrets: [string, string][]) => secrets.map(([name, secret]) => `${name}=${secret}\n`).join('');
