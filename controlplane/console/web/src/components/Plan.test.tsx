import { create } from '@bufbuild/protobuf';
import { MantineProvider } from '@mantine/core';
import { cleanup, render, screen, within } from '@testing-library/react';
import { afterEach, describe, expect, it } from 'vitest';
import { ChangeKind, ConfigChangeSchema, ConfigNoteSchema, NoteLevel } from '@/gen/tollgate/control/v1/config_pb';
import { Plan } from './Plan';

afterEach(cleanup);

const change = (kind: ChangeKind, name: string, fields: { path: string; before?: string; after?: string }[] = []) => create(ConfigChangeSchema, { change: kind, kind: 'endpoint', name, fields });
const show = (plan: Parameters<typeof Plan>[0]) =>
  render(
    <MantineProvider>
      <Plan {...plan} />
    </MantineProvider>,
  );

describe('a plan', () => {
  it('counts what is done and what is to be known, and leaves out what stays', () => {
    show({
      changes: [change(ChangeKind.CREATE, 'new-one'), change(ChangeKind.UPDATE, 'bria', [{ path: 'price.per_request', before: '10.00', after: '12.00' }]), change(ChangeKind.NONE, 'same')],
      notes: [create(ConfigNoteSchema, { level: NoteLevel.WARNING, file: 'config.yaml', line: 5, path: 'a[0]', text: 'It lets anyone call.' }), create(ConfigNoteSchema, { level: NoteLevel.SKIPPED, text: 'Python is not run.' })],
    });
    expect(screen.getByRole('list', { name: 'Plan in short' }).textContent).toBe('●1 to create◆1 to change1 left out▲1 warning');
    const changed = within(screen.getByRole('region', { name: 'Change' }));
    expect(changed.getByText('10.00').tagName).toBe('DEL');
    expect(changed.getByText('12.00').tagName).toBe('INS');
    expect(within(screen.getByRole('region', { name: 'Behaves differently' })).getByRole('listitem').textContent).toContain('config.yaml:5  a[0]');
    expect(screen.queryByText('same')).toBeNull();
    expect(screen.queryByRole('region', { name: 'Remove' })).toBeNull();
  });

  it('says that nothing is to be done, also where something was left out', () => {
    show({ changes: [change(ChangeKind.NONE, 'same')], notes: [create(ConfigNoteSchema, { level: NoteLevel.SKIPPED, text: 'Python is not run.' })] });
    expect(screen.getByText('Everything is already as the file says.')).toBeTruthy();
    expect(screen.getByText('Python is not run.')).toBeTruthy();
  });
});
