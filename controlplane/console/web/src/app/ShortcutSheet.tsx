import { Button, Group, Kbd, Modal, Table } from '@mantine/core';
import { useMutation } from '@connectrpc/connect-query';
import { useNavigate } from '@tanstack/react-router';
import { refresh } from '@/api/client';
import { OverviewService } from '@/gen/tollgate/control/v1/overview_pb';
import { t } from '@/text/shell';

const shortcuts: [string[], string][] = [
  [['⌘K', 'Ctrl K'], t('keyPalette')],
  [['/'], t('keyFilter')],
  [['?'], t('keySheet')],
  [['g', '…'], t('keyGo')],
  [['n'], t('keyNew')],
  [['t'], t('keyTry')],
  [['j', 'k'], t('keyMove')],
  [['Enter'], t('keyOpen')],
  [['x'], t('keySelect')],
  [['[', ']'], t('keyWindow')],
  [['r'], t('keyRefresh')],
  [['l'], t('keyLive')],
  [['.'], t('keyCopyId')],
  [['⌘Enter', 'Ctrl Enter'], t('keySubmit')],
  [['Esc'], t('keyClose')],
];

/** Every shortcut there is, and the way back to the first steps. */
export function ShortcutSheet({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const navigate = useNavigate();
  const again = useMutation(OverviewService.method.dismissFirstSteps, {
    onSuccess: async () => {
      await refresh(OverviewService);
      onClose();
      await navigate({ to: '/' });
    },
  });
  return (
    <Modal opened={opened} onClose={onClose} title={t('shortcuts')} size="lg" closeButtonProps={{ 'aria-label': t('close') }}>
      <Table>
        <Table.Tbody>
          {shortcuts.map(([keys, what]) => (
            <Table.Tr key={what}>
              <Table.Td w={150}>
                {keys.map((k) => (
                  <Kbd key={k} mr={4}>
                    {k}
                  </Kbd>
                ))}
              </Table.Td>
              <Table.Td>{what}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      <Group justify="flex-end" mt="sm">
        <Button variant="default" loading={again.isPending} onClick={() => again.mutate({ dismissed: false })}>
          {t('showSteps')}
        </Button>
      </Group>
    </Modal>
  );
}
