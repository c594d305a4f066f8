import { ActionIcon, Button, Menu, Popover, SegmentedControl, Stack, TagsInput, UnstyledButton } from '@mantine/core';
import { IconFilterPlus, IconX } from '@tabler/icons-react';
import { useQuery } from '@connectrpc/connect-query';
import { useState } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { SystemService } from '@/gen/tollgate/control/v1/system_pb';
import { t } from '@/text/usage';
import type { ScopeKind } from '../budgets/facts';
import { useNames } from '../budgets/ScopeFields';
import { type Field, fields, type Filters, split, valid, without } from './ask';
import classes from './Usage.module.css';

const label = (f: Field) => t(`by_${f}`);

/** The filters that are set, each to be changed or taken away, and one more to be added. */
export function FilterChips({ filters, change }: { filters: Filters; change: (more: Partial<Filters>) => void }) {
  const [adding, setAdding] = useState<Field>();
  const set = fields.filter((f) => filters[f]?.length || adding === f);
  const free = fields.filter((f) => !set.includes(f));
  return (
    <>
      {set.map((f) => (
        <Chip key={f} field={f} values={filters[f] ?? []} change={(v) => change({ [f]: v.length ? v : undefined })} startOpen={adding === f} onClosed={() => setAdding(undefined)} />
      ))}
      {free.length ? (
        <Menu position="bottom-start">
          <Menu.Target>
            <Button variant="subtle" color="gray" size="compact-sm" leftSection={<IconFilterPlus size={14} aria-hidden />}>
              {t('addFilter')}
            </Button>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Label>{t('filterBy')}</Menu.Label>
            {free.map((f) => (
              <Menu.Item key={f} onClick={() => setAdding(f)}>
                {label(f)}
              </Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
      ) : null}
    </>
  );
}

function Chip({ field, values, change, startOpen, onClosed }: { field: Field; values: string[]; change: (v: string[]) => void; startOpen: boolean; onClosed: () => void }) {
  const [opened, setOpened] = useState(startOpen);
  const [not, setNot] = useState(values[0]?.startsWith('!') ?? false);
  const { is, not: left } = split(values);
  const bare = [...is, ...left];
  const turn = (on: boolean) => {
    setOpened(on);
    if (!on) onClosed();
  };
  const write = (names: string[], negated: boolean) => change(names.map((n) => (negated ? `!${n}` : n)));
  const told = bare.map((v) => (v === without ? t(`none_${field}`) : v)).join(', ') || '…';
  return (
    <span className={classes.chip}>
      <Popover opened={opened} onChange={turn} position="bottom-start" shadow="md" trapFocus returnFocus>
        <Popover.Target>
          <UnstyledButton className={classes.chipText} onClick={() => turn(!opened)}>
            {t('filterText', { field: label(field), how: left.length && !is.length ? t('isNot') : t('is'), values: told })}
          </UnstyledButton>
        </Popover.Target>
        <Popover.Dropdown p={10} aria-label={label(field)}>
          <Stack gap={8} w={260}>
            {field === 'tag' ? null : (
              <SegmentedControl
                aria-label={label(field)}
                value={not ? 'not' : 'is'}
                onChange={(v) => {
                  setNot(v === 'not');
                  write(bare, v === 'not');
                }}
                data={[
                  { value: 'is', label: t('is') },
                  { value: 'not', label: t('isNot') },
                ]}
              />
            )}
            <Values field={field} value={bare} change={(names) => write(names, not)} close={() => turn(false)} />
          </Stack>
        </Popover.Dropdown>
      </Popover>
      <ActionIcon
        size={24}
        aria-label={t('removeFilter', { field: label(field) })}
        onClick={() => {
          change([]);
          onClosed();
        }}
      >
        <IconX size={12} aria-hidden />
      </ActionIcon>
    </span>
  );
}

const statuses = ['2xx', '3xx', '4xx', '5xx', '0xx', '401', '403', '404', '429', '500', '502', '503', '504'];

function Values({ field, value, change, close }: { field: Field; value: string[]; change: (v: string[]) => void; close: () => void }) {
  const [text, setText] = useState('');
  const kind: ScopeKind = field === 'model' || field === 'edge' || field === 'status' ? 'everything' : field;
  const scoped = useNames(kind, text);
  const { may } = useCaller();
  const edges = useQuery(SystemService.method.listNodes, {}, { enabled: field === 'edge' && may(Permission.EDGES_READ) });
  const names = field === 'edge' ? (edges.data?.nodes.map((n) => n.id) ?? []) : scoped;
  return (
    <TagsInput
      data-autofocus
      size="xs"
      aria-label={label(field)}
      data={field === 'status' ? statuses : [...new Set(names)]}
      value={value}
      searchValue={text}
      onSearchChange={setText}
      onChange={(all) => change([...new Set(all.map((v) => v.trim()).filter((v) => v && !v.includes(',') && valid(field, v)))])}
      placeholder={field === 'status' ? t('statusHint') : t('value')}
      acceptValueOnBlur
      comboboxProps={{ withinPortal: false }}
      onKeyDown={(e) => {
        if (e.key === 'Enter' && !e.currentTarget.value) close();
      }}
    />
  );
}
