import { Alert, Button, Group, Modal, Stack, Tabs, Text, TextInput } from '@mantine/core';
import { useMutation } from '@connectrpc/connect-query';
import { useState } from 'react';
import { fleet } from '@/api/live';
import { useNow } from '@/app/clock';
import { CopyText } from '@/components/CopyText';
import { Failure } from '@/components/Region';
import { type CreateJoinTokenResponse, EdgeService } from '@/gen/tollgate/control/v1/edge_pb';
import { ago, millis } from '@/lib/time';
import { t } from '@/text/edges';
import { t as shell } from '@/text/shell';
import { commandsOf } from './commands';
import classes from './EdgesPage.module.css';

/** Makes the command by which a new edge joins, and waits for it. The token is kept by this dialog alone. */
export function AddEdge({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState('');
  const [region, setRegion] = useState('');
  const [known] = useState(() => new Set(fleet.get()?.nodes.map((n) => `${n.id} ${n.incarnation}`)));
  const token = useMutation(EdgeService.method.createJoinToken);
  return (
    <Modal opened onClose={onClose} size="lg" title={<Text fw={600} component="span">{t('addTitle')}</Text>} closeButtonProps={{ 'aria-label': shell('close') }}>
      {token.data ? (
        <Joining token={token.data} known={known} onClose={onClose} />
      ) : (
        <form
          onSubmit={(e) => {
            e.preventDefault();
            token.mutate({ node: name, region });
          }}
        >
          <Stack gap="sm">
            <Group grow align="flex-start">
              <TextInput data-autofocus label={t('name')} description={t('nameHint')} placeholder={t('nameExample')} value={name} onChange={(e) => setName(e.currentTarget.value)} />
              <TextInput label={t('region')} description={t('regionHint')} placeholder={t('regionExample')} value={region} onChange={(e) => setRegion(e.currentTarget.value)} />
            </Group>
            {token.error ? <Failure error={token.error} /> : null}
            <Group justify="flex-end">
              <Button type="submit" loading={token.isPending}>
                {t('make')}
              </Button>
            </Group>
          </Stack>
        </form>
      )}
    </Modal>
  );
}

function Joining({ token, known, onClose }: { token: CreateJoinTokenResponse; known: Set<string>; onClose: () => void }) {
  const now = useNow();
  const joined = fleet.use()?.nodes.find((n) => !known.has(`${n.id} ${n.incarnation}`));
  const commands = commandsOf(token.command);
  return (
    <Stack gap="sm">
      <Text size="sm">
        {t('addIntro')} {t('expires', { when: ago(millis(token.expireTime) ?? now, now) })}
      </Text>
      <Tabs defaultValue={commands[0]!.id}>
        <Tabs.List>
          {commands.map((c) => (
            <Tabs.Tab key={c.id} value={c.id}>
              {t(c.id)}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        {commands.map((c) => (
          <Tabs.Panel key={c.id} value={c.id} pt="sm">
            <Group align="flex-start" wrap="nowrap" gap={4}>
              <pre className={`mono ${classes.command}`} style={{ flex: 1 }} tabIndex={0} aria-label={t('commandFor', { how: t(c.id) })}>
                {c.text}
              </pre>
              <CopyText value={c.text} iconOnly />
            </Group>
          </Tabs.Panel>
        ))}
      </Tabs>
      <div role="status">
        {joined ? (
          <Alert color="green.9" variant="light">{t('arrived', { name: joined.id, revision: String(joined.revision) })}</Alert>
        ) : (
          <Text size="sm" className="dim">
            {t('waiting')}
          </Text>
        )}
      </div>
      <Group justify="flex-end">
        <Button variant={joined ? 'filled' : 'default'} onClick={onClose}>
          {joined ? t('done') : shell('close')}
        </Button>
      </Group>
    </Stack>
  );
}
