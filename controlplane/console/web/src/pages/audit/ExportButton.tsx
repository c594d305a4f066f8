import { type MessageInitShape, toJsonString } from '@bufbuild/protobuf';
import { Button } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconDownload } from '@tabler/icons-react';
import { useState } from 'react';
import { clientOf } from '@/api/client';
import { problemOf } from '@/api/errors';
import { AuditEntrySchema, AuditService, type ListAuditEntriesRequestSchema } from '@/gen/tollgate/control/v1/audit_pb';
import { download } from '@/pages/access/keys/facts';
import { t } from '@/text/audit';

/** More than these are not held by a browser. */
const most = 50_000;

/** Everything that the list would show, one entry a line. */
export function ExportButton({ input }: { input: MessageInitShape<typeof ListAuditEntriesRequestSchema> }) {
  const [busy, setBusy] = useState(false);
  const go = async () => {
    setBusy(true);
    try {
      const lines: string[] = [];
      let pageToken = '';
      do {
        const page = await clientOf(AuditService).listAuditEntries({ ...(input as object), pageSize: 1000, pageToken });
        lines.push(...page.entries.map((e) => toJsonString(AuditEntrySchema, e)));
        pageToken = page.nextPageToken;
      } while (pageToken && lines.length < most);
      if (pageToken) notifications.show({ message: t('exportCut', { n: lines.length }), autoClose: 10_000 });
      download('audit.ndjson', lines.map((l) => `${l}\n`).join(''), 'application/x-ndjson');
    } catch (err) {
      notifications.show({ color: 'red', message: problemOf(err).message });
    } finally {
      setBusy(false);
    }
  };
  return (
    <Button variant="default" loading={busy} leftSection={<IconDownload size={14} aria-hidden />} onClick={() => void go()}>
      {t('export')}
    </Button>
  );
}
