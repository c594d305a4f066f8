import { Table } from '@mantine/core';
import type { FieldChange } from '@/gen/tollgate/control/v1/audit_pb';
import { t } from '@/text/changes';
import classes from './Changes.module.css';

/** What changed, field by field. Values that must not be seen come as "(changed)" from the server. */
export function Changes({ changes, label }: { changes: FieldChange[]; label?: string }) {
  if (!changes.length) return <div className="dim">{t('none')}</div>;
  return (
    <div className={classes.scroller} tabIndex={0} role="region" aria-label={label ?? t('label')}>
      <Table className={classes.table}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{t('field')}</Table.Th>
            <Table.Th>{t('before')}</Table.Th>
            <Table.Th>{t('after')}</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {changes.map((c) => (
            <Table.Tr key={c.path}>
              <Table.Td className="mono">{c.path}</Table.Td>
              <Table.Td>
                <Value json={c.before} kind="before" />
              </Table.Td>
              <Table.Td>
                <Value json={c.after} kind="after" />
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </div>
  );
}

function Value({ json, kind }: { json: string; kind: 'before' | 'after' }) {
  if (!json) return <span className="dim">{t('unset')}</span>;
  const text = plain(json);
  return kind === 'before' ? <del className={`mono ${classes.before}`}>{text}</del> : <ins className={`mono ${classes.after}`}>{text}</ins>;
}

// A text without its quotes; anything else as it is, and what is long on lines of its own.
function plain(json: string): string {
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value === 'string') return value;
    return json.length > 60 && typeof value === 'object' ? JSON.stringify(value, null, 1) : json;
  } catch {
    return json;
  }
}
