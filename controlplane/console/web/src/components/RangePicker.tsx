import { Button, Group, Menu, Stack, TextInput } from '@mantine/core';
import { IconCalendar, IconCheck } from '@tabler/icons-react';
import { useState } from 'react';
import { zone } from '@/app/preferences';
import { end, type Range } from '@/lib/range';
import { moment } from '@/lib/time';
import { t } from '@/text/shell';

const presets = [
  { from: '-1h', label: t('lastHour') },
  { from: '-24h', label: t('last24h') },
  { from: '-7d', label: t('last7d') },
  { from: '-14d', label: t('last14d') },
  { from: '-30d', label: t('last30d') },
  { from: 'month', label: t('thisMonth') },
] as const;

/** The range of time of a page: a preset, or two times. */
export function RangePicker({ value, onChange }: { value: Range; onChange: (range: Range) => void }) {
  const z = zone.use();
  const [opened, setOpened] = useState(false);
  const [custom, setCustom] = useState(value);
  const preset = value.to === 'now' ? presets.find((p) => p.from === value.from) : undefined;
  const now = Date.now();
  const told = (text: string) => {
    const at = end(text, now);
    return at === undefined ? text : text.length === 10 ? text : moment(at, z);
  };
  const valid = end(custom.from, now) !== undefined && end(custom.to, now) !== undefined && end(custom.from, now)! < end(custom.to, now)! + 86_400_000;
  return (
    <Menu opened={opened} onChange={setOpened} trapFocus={false}>
      <Menu.Target>
        <Button variant="default" leftSection={<IconCalendar size={14} aria-hidden />} aria-label={t('timeRange')}>
          {preset?.label ?? t('fromTo', { from: told(value.from), to: told(value.to) })}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        {presets.map((p) => (
          <Menu.Item key={p.from} leftSection={preset === p ? <IconCheck size={14} aria-hidden /> : <span style={{ width: 14 }} />} onClick={() => onChange({ from: p.from, to: 'now' })}>
            {p.label}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <form
          onSubmit={(e) => {
            e.preventDefault();
            if (!valid) return;
            onChange(custom);
            setOpened(false);
          }}
        >
          <Stack gap={8} p={8} w={240}>
            <Group grow gap={8}>
              <TextInput size="xs" label={t('from')} value={custom.from} placeholder="2026-11-01" onChange={(e) => setCustom({ ...custom, from: e.currentTarget.value })} />
              <TextInput size="xs" label={t('to')} value={custom.to} placeholder="now" onChange={(e) => setCustom({ ...custom, to: e.currentTarget.value })} />
            </Group>
            <Button type="submit" size="compact-sm" variant="light" disabled={!valid}>
              {t('apply')}
            </Button>
          </Stack>
        </form>
      </Menu.Dropdown>
    </Menu>
  );
}
