import { Button, Group, Text, Textarea } from '@mantine/core';
import { IconListDetails, IconPlus } from '@tabler/icons-react';
import { useState } from 'react';
import { Section } from '@/components/Page';
import { t as shell } from '@/text/shell';
import { t } from '@/text/endpoint-form';
import { useForm } from './context';
import { hold } from './held';
import { type Kind, print, read, type Row, row } from './lines';
import { rowsOf, setRows } from './model';
import { Rows } from './Rows';
import { withVariables } from './value';
import classes from './Rows.module.css';

/** What requests to the target carry beside what callers send. */
export function HeadersSection() {
  const form = useForm();
  const [query, setQuery] = useState(false);
  const shown = query || form.draft.query.length > 0;
  return (
    <Section title={t('headersSection')}>
      <Editor kind="header">
        {shown ? null : (
          <Button size="compact-sm" variant="subtle" disabled={form.disabled} onClick={() => {
            setQuery(true);
            form.change((e) => setRows(e, 'query', [row('query', '', '')]));
          }}>
            {t('addQuery')}
          </Button>
        )}
      </Editor>
      {shown ? (
        <div style={{ paddingTop: 16 }}>
          <Text component="h3" size="sm" fw={600}>{t('querySection')}</Text>
          <Text size="xs" className="dim" pb={8}>{t('queryPrecedence')}</Text>
          <Editor kind="query" />
        </div>
      ) : null}
    </Section>
  );
}

function Editor({ kind, children }: { kind: Kind; children?: React.ReactNode }) {
  const form = useForm();
  const [bulk, setBulk] = useState(false);
  const rows = rowsOf(form.draft, kind);
  const set = (next: Row[]) => form.change((e) => setRows(e, kind, next));
  const field = kind === 'header' ? 'headers' : 'query';
  if (bulk) return <Bulk kind={kind} rows={rows} onApply={(next) => (set(next), setBulk(false))} onCancel={() => setBulk(false)} />;
  return (
    <>
      {rows.length ? <Rows kind={kind} rows={rows} field={field} onChange={set} /> : <div className={classes.empty}>{kind === 'header' ? t('noHeaders') : t('noQuery')}</div>}
      <div className={classes.tools} data-field={field}>
        <Button size="compact-sm" variant="default" leftSection={<IconPlus size={14} aria-hidden />} disabled={form.disabled} onClick={() => set([...rows, row(kind, '', '')])}>
          {kind === 'header' ? t('addHeader') : t('addParameter')}
        </Button>
        <Button size="compact-sm" variant="subtle" leftSection={<IconListDetails size={14} aria-hidden />} disabled={form.disabled} onClick={() => setBulk(true)}>
          {t('bulkEdit')}
        </Button>
        {children}
      </div>
    </>
  );
}

function Bulk({ kind, rows, onApply, onCancel }: { kind: Kind; rows: Row[]; onApply: (rows: Row[]) => void; onCancel: () => void }) {
  // A credential that has no place yet is not shown: its line stays as it is unless it is changed.
  const [text, setText] = useState(() => print(kind, rows.filter((r) => r.name || r.value)));
  const result = read(kind, text);
  const lineText = { lineForm: kind === 'header' ? t('lineFormHeader') : t('lineFormQuery'), lineName: t('lineName'), lineRemove: t('lineRemove') };
  const apply = () => onApply(result.rows.map((r) => row(kind, r.name, hold(withVariables(r.value), r.name), r.mode)));
  return (
    <div>
      <Textarea
        label={t('bulkEdit')}
        description={kind === 'header' ? t('bulkHeaders') : t('bulkQuery')}
        classNames={{ input: 'mono' }}
        autosize
        minRows={5}
        maxRows={18}
        value={text}
        onChange={(e) => setText(e.currentTarget.value)}
        error={result.errors.length ? result.errors.map((e) => t('lineError', { line: e.line, text: lineText[e.code] })).join(' ') : undefined}
        autoFocus
        spellCheck={false}

      />
      <Group gap="xs" pt={8}>
        <Button size="compact-sm" disabled={result.errors.length > 0} onClick={apply}>{shell('apply')}</Button>
        <Button size="compact-sm" variant="default" onClick={onCancel}>{shell('cancel')}</Button>
      </Group>
    </div>
  );
}
