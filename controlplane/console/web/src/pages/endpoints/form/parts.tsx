// What the form opens or says as a whole.

import { Alert, Button, Group, Modal, Text } from '@mantine/core';
import { useQuery } from '@connectrpc/connect-query';
import { IconAlertTriangle } from '@tabler/icons-react';
import type { Problem } from '@/api/errors';
import { type Choice, Conflict } from '@/components/Conflict';
import { When } from '@/components/When';
import { type Endpoint, EndpointService } from '@/gen/tollgate/control/v1/endpoint_pb';
import { list } from '@/lib/text';
import { t as conflict } from '@/text/conflict';
import { t as shell } from '@/text/shell';
import { fields, t } from '@/text/endpoint-form';
import type { Wrong } from './context';
import classes from './EndpointForm.module.css';
import { differences, merged } from './merge';

const labelOf = (field: string) => (fields.has(field) ? fields(field as Parameters<typeof fields>[0]) : field);

/** More than one thing that is wrong, or why a save was refused. */
export function Summary({ wrong, problem }: { wrong: Wrong[]; problem: Problem | undefined }) {
  if (!problem && wrong.length < 2) return null;
  return (
    <Alert id="endpoint-problems" tabIndex={-1} role="alert" color="red" variant="outline" icon={<IconAlertTriangle size={18} aria-hidden />} className={classes.summary} title={problem ? problem.message : t('problems', { n: wrong.length })}>
      {problem?.hint ? <Text size="sm">{problem.hint}</Text> : null}
      {wrong.length > 1 ? (
        <ul>
          {wrong.map((w) => (
            <li key={w.field + w.code + w.text}>{/^Value /.test(w.text) ? t('problemOf', { field: labelOf(w.field.replace(/[.[].*$/, '')), text: w.text }) : w.text}</li>
          ))}
        </ul>
      ) : null}
    </Alert>
  );
}

/** Asks before changes are left behind. */
export function Leave({ onStay, onLeave }: { onStay: () => void; onLeave: () => void }) {
  return (
    <Modal opened onClose={onStay} title={<Text fw={600} component="span">{t('leaveTitle')}</Text>} closeButtonProps={{ 'aria-label': shell('close') }}>
      <Text size="sm">{t('leaveText')}</Text>
      <Group justify="flex-end" gap="xs" pt="md">
        <Button variant="default" onClick={onLeave}>{t('leave')}</Button>
        <Button onClick={onStay} data-autofocus>{t('stay')}</Button>
      </Group>
    </Modal>
  );
}

/** Two people changed the same endpoint. */
export function Review({ base, theirs, mine, onMerged, onClose }: { base: Endpoint; theirs: Endpoint; mine: Endpoint; onMerged: (value: Endpoint) => Promise<void>; onClose: () => void }) {
  const { data } = useQuery(EndpointService.method.listEndpointRevisions, { endpoint: base.id, pageSize: 1 });
  const last = data?.revisions[0];
  const found = differences(base, theirs, mine);
  const changed = found.filter((d) => d.both || d.taken === 'theirs').map((d) => labelOf(d.field));
  return (
    <Conflict
      who={last && changed.length ? conflict.rich('changedBy', { who: <strong key="who">{last.actor}</strong>, fields: list(changed), when: <When key="when" at={last.time} /> }) : conflict('changed')}
      fields={found.map((d) => ({ ...d, label: labelOf(d.field) }))}
      onResolve={(choices: Record<string, Choice>) => onMerged(merged(theirs, mine, choices))}
      onClose={onClose}
    />
  );
}
