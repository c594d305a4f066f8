import { ActionIcon, Button, Group, Menu, Popover, SegmentedControl, Stack, TagsInput, TextInput, UnstyledButton } from '@mantine/core';
import { IconFilterPlus, IconX } from '@tabler/icons-react';
import { useQuery } from '@connectrpc/connect-query';
import { type ReactNode, useState } from 'react';
import { fleet } from '@/api/live';
import { EndpointService } from '@/gen/tollgate/control/v1/endpoint_pb';
import { KeyService } from '@/gen/tollgate/control/v1/key_pb';
import { TeamService } from '@/gen/tollgate/control/v1/team_pb';
import { parse } from '@/lib/money';
import { t } from '@/text/requests';
import { type Field, fields, readSpan, type Selection, split } from './selection';
import classes from './Filter.module.css';

type Change = (more: Partial<Selection>) => void;
type Extra = 'cost' | 'slow';
const labels: Record<Field | Extra, string> = {
  endpoint: t('endpoint'), key: t('key'), team: t('team'), status: t('status'), method: t('method'), edge: t('edge'), cost: t('minCost'), slow: t('minTime'),
};

/** The filters that are set, each to be changed or taken away, and one more to be added. */
export function FilterChips({ selection, change, hide = [] }: { selection: Selection; change: Change; hide?: Field[] }) {
  const [adding, setAdding] = useState<Field | Extra>();
  const set = fields.filter((f) => selection[f]?.length && !hide.includes(f));
  const free = [...fields.filter((f) => !selection[f]?.length && !hide.includes(f)), ...(['cost', 'slow'] as const).filter((x) => !selection[x])];
  const shown = (adding && (fields as readonly string[]).includes(adding) && !set.includes(adding as Field) ? [...set, adding as Field] : set) as Field[];
  return (
    <Group gap={6}>
      {shown.map((f) => (
        <ListChip key={f} field={f} values={selection[f] ?? []} change={(v) => change({ [f]: v.length ? v : undefined })} startOpen={adding === f} onClosed={() => setAdding(undefined)} />
      ))}
      {(['cost', 'slow'] as const).map((x) =>
        selection[x] || adding === x ? (
          <TextChip key={x} field={x} value={selection[x] ?? ''} change={(v) => change({ [x]: v || undefined })} startOpen={adding === x} onClosed={() => setAdding(undefined)} />
        ) : null,
      )}
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
                {labels[f]}
              </Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
      ) : null}
    </Group>
  );
}

function Chip({ name, text, children, onRemove, startOpen, onClosed }: { name: string; text: string; children: (close: () => void) => ReactNode; onRemove: () => void; startOpen: boolean; onClosed: () => void }) {
  const [opened, setOpened] = useState(startOpen);
  const turn = (on: boolean) => {
    setOpened(on);
    if (!on) onClosed();
  };
  return (
    <span className={classes.chip}>
      <Popover opened={opened} onChange={turn} position="bottom-start" shadow="md" trapFocus returnFocus>
        <Popover.Target>
          <UnstyledButton className={classes.text} onClick={() => turn(!opened)}>
            {text}
          </UnstyledButton>
        </Popover.Target>
        <Popover.Dropdown p={10}>{children(() => turn(false))}</Popover.Dropdown>
      </Popover>
      <ActionIcon size={24} aria-label={t('removeFilter', { field: name })} onClick={onRemove}>
        <IconX size={12} aria-hidden />
      </ActionIcon>
    </span>
  );
}

function ListChip({ field, values, change, startOpen, onClosed }: { field: Field; values: string[]; change: (v: string[]) => void; startOpen: boolean; onClosed: () => void }) {
  const [not, setNot] = useState(values[0]?.startsWith('!') ?? false);
  const bare = values.map((v) => v.replace(/^!/, ''));
  const { is, not: isNot } = split(values);
  const how = isNot.length && !is.length ? t('isNot') : t('is');
  const write = (names: string[], negated: boolean) => change(names.map((n) => (negated ? `!${n}` : n)));
  const name = labels[field];
  return (
    <Chip name={name} text={`${name} ${how} ${bare.join(', ') || '…'}`} onRemove={() => change([])} startOpen={startOpen} onClosed={onClosed}>
      {(close) => (
        <Stack gap={8} w={260}>
          <SegmentedControl
            aria-label={name}
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
          <Values field={field} value={bare} change={(names) => write(names, not)} close={close} />
        </Stack>
      )}
    </Chip>
  );
}

const listed = { pageSize: 200 };
const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'];
const statuses = ['2xx', '3xx', '4xx', '5xx', '401', '402', '403', '404', '429', '500', '502', '503', '504'];

function Values({ field, value, change, close }: { field: Field; value: string[]; change: (v: string[]) => void; close: () => void }) {
  const endpoints = useQuery(EndpointService.method.listEndpoints, listed, { enabled: field === 'endpoint', retry: false });
  const keys = useQuery(KeyService.method.listKeys, listed, { enabled: field === 'key', retry: false });
  const teams = useQuery(TeamService.method.listTeams, listed, { enabled: field === 'team', retry: false });
  const edges = fleet.use();
  const known = {
    endpoint: endpoints.data?.endpoints.map((e) => e.name) ?? [],
    key: keys.data?.keys.map((k) => k.name) ?? [],
    team: teams.data?.teams.map((x) => x.name) ?? [],
    edge: edges?.nodes.map((n) => n.id) ?? [],
    method: methods,
    status: statuses,
  }[field];
  return (
    <TagsInput
      data-autofocus
      size="xs"
      aria-label={labels[field]}
      data={known}
      value={value}
      onChange={(all) => change([...new Set(all.map((v) => (field === 'method' ? v.toUpperCase() : v.trim())).filter((v) => field !== 'status' || /^[0-9](xx|[0-9]{2})$/.test(v)))])}
      placeholder={field === 'status' ? t('statusHint') : t('value')}
      acceptValueOnBlur
      comboboxProps={{ withinPortal: false }}
      onKeyDown={(e) => {
        if (e.key === 'Enter' && !e.currentTarget.value) close();
      }}
    />
  );
}

function TextChip({ field, value, change, startOpen, onClosed }: { field: Extra; value: string; change: (v: string) => void; startOpen: boolean; onClosed: () => void }) {
  const [text, setText] = useState(value);
  const valid = !text || (field === 'cost' ? parse(text).ok : readSpan(text) !== undefined);
  const name = labels[field];
  return (
    <Chip name={name} text={`${name} ${field === 'cost' && value ? '$' : ''}${value || '…'}`} onRemove={() => change('')} startOpen={startOpen} onClosed={onClosed}>
      {(close) => (
        <form
          onSubmit={(e) => {
            e.preventDefault();
            if (!valid) return;
            change(text.trim().replace(/^\$/, ''));
            close();
          }}
        >
          <TextInput data-autofocus size="xs" w={220} label={name} placeholder={field === 'cost' ? '1.00' : t('minTimeHint')} value={text} error={!valid} onChange={(e) => setText(e.currentTarget.value)} />
        </form>
      )}
    </Chip>
  );
}

