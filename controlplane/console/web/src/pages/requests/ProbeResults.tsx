import { useMutation } from '@connectrpc/connect-query';
import { Modal, Stack, Table } from '@mantine/core';
import { useEffect } from 'react';
import { Failure, Lines } from '@/components/Region';
import { Status } from '@/components/Status';
import { EdgeService } from '@/gen/tollgate/control/v1/edge_pb';
import { span, took } from '@/lib/time';
import { t } from '@/text/requests';

/** Has every edge connect to a target, and tells what each found. */
export function ProbeResults({ url, endpoint, close }: { url: string; endpoint: string; close: () => void }) {
  const probe = useMutation(EdgeService.method.probeTarget);
  const { mutate } = probe;
  useEffect(() => mutate({ url, endpoint }), [mutate, url, endpoint]);
  return (
    <Modal opened onClose={close} title={t('probeTitle')} size="lg" closeButtonProps={{ 'aria-label': t('close') }}>
      <Stack gap={12}>
        <span className="mono wrap">{url}</span>
        {probe.error ? <Failure error={probe.error} retry={() => mutate({ url, endpoint })} /> : null}
        {probe.isPending ? (
          <div aria-busy="true" aria-label={t('probing')}>
            <Lines n={3} />
          </div>
        ) : null}
        {probe.data ? (
          <Table>
            <Table.Tbody>
              {probe.data.results.map((r) => (
                <Table.Tr key={r.node}>
                  <Table.Td>{r.node}</Table.Td>
                  <Table.Td>
                    <Status tone={r.reached ? 'ok' : 'bad'}>{r.reached ? String(r.status) : r.error}</Status>
                  </Table.Td>
                  <Table.Td className="num">{took(span(r.firstByte) || span(r.connect))}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        ) : null}
      </Stack>
    </Modal>
  );
}
