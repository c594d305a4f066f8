import { Button, Group, Modal, SegmentedControl, Stack, Table, Text } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { t } from '@/text/conflict';
import { t as shell } from '@/text/shell';
import classes from './Conflict.module.css';

export type Choice = 'theirs' | 'mine';

export interface Conflicted {
  /** Names the field to the caller. */
  field: string;
  label: string;
  base: ReactNode;
  theirs: ReactNode;
  mine: ReactNode;
  /** Whether both changed it; what only one changed is taken from them. */
  both: boolean;
  /** Which is taken where only one changed it. */
  taken: Choice;
}

/** Somebody else changed the same object: what each made of it, field by field, and which of the two is to be saved. */
export function Conflict({ who, fields, onResolve, onClose }: { who: ReactNode; fields: Conflicted[]; onResolve: (choices: Record<string, Choice>) => Promise<void> | void; onClose: () => void }) {
  const [choices, setChoices] = useState<Record<string, Choice>>({});
  const [busy, setBusy] = useState(false);
  const open = fields.filter((f) => f.both && !choices[f.field]).length;
  const all = () => Object.fromEntries(fields.map((f) => [f.field, f.both ? (choices[f.field] ?? 'mine') : f.taken]));
  const resolve = async () => {
    setBusy(true);
    try {
      await onResolve(all());
    } finally {
      setBusy(false);
    }
  };
  return (
    <Modal opened onClose={onClose} size="xl" title={<Text fw={600} component="span">{t('title')}</Text>} closeButtonProps={{ 'aria-label': shell('close') }}>
      <Stack gap="sm">
        <Text size="sm" component="div">{who}</Text>
        <Table.ScrollContainer minWidth={640} scrollAreaProps={{ tabIndex: 0, role: 'region', 'aria-label': t('title') } as never}>
          <Table verticalSpacing="xs" className={classes.table}>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t('field')}</Table.Th>
                <Table.Th>{t('base')}</Table.Th>
                <Table.Th>{t('theirs')}</Table.Th>
                <Table.Th>{t('mine')}</Table.Th>
                <Table.Th>{t('take')}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {fields.map((f) => {
                const choice = f.both ? choices[f.field] : f.taken;
                return (
                  <Table.Tr key={f.field}>
                    <Table.Th scope="row">{f.label}</Table.Th>
                    <Table.Td><Value>{f.base}</Value></Table.Td>
                    <Table.Td data-taken={choice === 'theirs' || undefined}><Value>{f.theirs}</Value></Table.Td>
                    <Table.Td data-taken={choice === 'mine' || undefined}><Value>{f.mine}</Value></Table.Td>
                    <Table.Td>
                      {f.both ? (
                        <SegmentedControl
                          aria-label={t('takeOf', { field: f.label })}
                          value={choice ?? ''}
                          onChange={(v) => setChoices((now) => ({ ...now, [f.field]: v as Choice }))}
                          data={[
                            { value: 'theirs', label: t('takeTheirs') },
                            { value: 'mine', label: t('keepMine') },
                          ]}
                        />
                      ) : (
                        <span className="dim">{f.taken === 'theirs' ? t('onlyTheirs') : t('onlyMine')}</span>
                      )}
                    </Table.Td>
                  </Table.Tr>
                );
              })}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
        <Group justify="flex-end" gap="xs">
          {open ? <span className="dim">{t('open', { n: open })}</span> : null}
          <Button variant="default" onClick={onClose}>{t('goBack')}</Button>
          <Button disabled={open > 0} loading={busy} onClick={() => void resolve()}>{t('save')}</Button>
        </Group>
      </Stack>
    </Modal>
  );
}

const Value = ({ children }: { children: ReactNode }) => <div className={`mono ${classes.value}`}>{children || <span className="dim">{t('nothing')}</span>}</div>;
