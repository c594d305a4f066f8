import { ActionIcon, Button, Group, Menu, Modal, Select, SegmentedControl, Stack, Text, Textarea, TextInput } from '@mantine/core';
import { IconHistory, IconPlus, IconX } from '@tabler/icons-react';
import { type ReactNode, useState } from 'react';
import { When } from '@/components/When';
import { count } from '@/lib/text';
import { fromCurl, readCurl } from '@/pages/endpoints/form/curl';
import { t } from '@/text/try';
import { type Draft, formatJson, type Pair, withoutCredentials } from './draft';
import { tries } from './history';
import classes from './Try.module.css';

export interface TryFormProps {
  endpoint: string;
  /** Path of the endpoint. */
  base: string;
  /** Where it leads, to take paths from pasted commands. */
  targets: string[];
  methods: string[];
  keys: { value: string; label: string }[];
  edges: string[];
  draft: Draft;
  change: (draft: Draft) => void;
  submit: () => void;
  /** What stands below: who pays, and the buttons. */
  children: ReactNode;
}

/** What a body may look like; no words. */
const example = '{ "prompt": "a book" }';
const usualMethods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'];

/** Method, path, who pays, and the parts of the request. */
export function TryForm({ endpoint, base, targets, methods, keys, edges, draft, change, submit, children }: TryFormProps) {
  const [part, setPart] = useState<'body' | 'query' | 'headers'>('body');
  const [error, setError] = useState<string>();
  const [pasting, setPasting] = useState(false);
  const set = (more: Partial<Draft>) => {
    setError(undefined);
    change({ ...draft, ...more });
  };
  const withCount = (name: string, rows: Pair[]) => {
    const n = rows.filter((r) => r.name.trim()).length;
    return n ? t('withCount', { name, n: count(n) }) : name;
  };
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        submit();
      }}
      onKeyDown={(e) => {
        if (e.key === 'Enter' && (e.metaKey || e.ctrlKey)) {
          e.preventDefault();
          submit();
        }
      }}
    >
      <Stack gap={12}>
        <div className={classes.line}>
          <Select
            aria-label={t('method')}
            w={112}
            className="mono"
            data={methods.length ? [...new Set([...methods, draft.method])] : usualMethods}
            value={draft.method}
            onChange={(v) => v && set({ method: v })}
          />
          <div className={classes.path}>
            <span className={`mono ${classes.base}`}>{base.replace(/\/$/, '') || '/'}</span>
            <TextInput
              aria-label={t('path', { base })}
              className={classes.rest}
              classNames={{ input: 'mono' }}
              placeholder={t('pathHint')}
              value={draft.rest.replace(/^\//, '')}
              leftSection={<span className="mono dim">{'/'}</span>}
              leftSectionWidth={22}
              spellCheck={false}
              autoComplete="off"
              onChange={(e) => set({ rest: e.currentTarget.value ? `/${e.currentTarget.value.replace(/^\//, '')}` : '' })}
            />
          </div>
          <div className={classes.who}>
            <Select aria-label={t('asKey')} data={keys} value={draft.key} searchable onChange={(v) => set({ key: v ?? '' })} />
            <Select
              aria-label={t('viaEdge')}
              data={[{ value: '', label: t('anyEdge') }, ...edges.map((e) => ({ value: e, label: e }))]}
              value={draft.edge}
              onChange={(v) => set({ edge: v ?? '' })}
            />
          </div>
        </div>
        <div>
          <Group justify="space-between" gap={8} mb={8}>
            <SegmentedControl
              aria-label={t('parts')}
              value={part}
              onChange={(v) => setPart(v as typeof part)}
              data={[
                { value: 'body', label: t('body') },
                { value: 'query', label: withCount(t('query'), draft.query) },
                { value: 'headers', label: withCount(t('headers'), draft.headers) },
              ]}
            />
            <Group gap={4}>
              {part === 'body' ? (
                <Button
                  variant="subtle"
                  size="compact-xs"
                  onClick={() => {
                    const body = formatJson(draft.body);
                    if (body === undefined) setError(t('notJson'));
                    else set({ body });
                  }}
                >
                  {t('format')}
                </Button>
              ) : null}
              <Button variant="subtle" size="compact-xs" onClick={() => setPasting(true)}>
                {t('fromCurl')}
              </Button>
              <History endpoint={endpoint} onTake={change} />
            </Group>
          </Group>
          {part === 'body' ? (
            <Textarea
              aria-label={t('body')}
              classNames={{ input: classes.body }}
              placeholder={example}
              value={draft.body}
              error={error}
              autosize
              minRows={4}
              maxRows={16}
              spellCheck={false}
              onChange={(e) => set({ body: e.currentTarget.value })}
            />
          ) : (
            <Pairs
              key={part}
              rows={draft[part]}
              add={part === 'query' ? t('addQuery') : t('addHeader')}
              change={(rows) => set(part === 'query' ? { query: rows } : { headers: rows })}
            />
          )}
        </div>
        {children}
      </Stack>
      <PasteCurl
        opened={pasting}
        close={() => setPasting(false)}
        take={(text) => {
          const c = readCurl(text);
          const divided = fromCurl(c);
          if (!divided) return t('notCurl');
          change(withoutCredentials({
            ...draft,
            method: c.method,
            rest: belowTarget(divided.target + divided.below, targets, base),
            query: [],
            headers: divided.requestHeaders.filter((h) => !/^(host|content-length|user-agent|connection|cookie)$/i.test(h.name)),
            body: formatJson(c.body) ?? c.body,
          }));
          setPart('body');
          return undefined;
        }}
      />
    </form>
  );
}

/** The path of a URL below the target, or below the endpoint where it is the gateway's own. */
export function belowTarget(url: string, targets: string[], base: string): string {
  const u = new URL(url);
  const path = u.pathname + u.search;
  for (const text of targets) {
    try {
      const target = new URL(text);
      const prefix = target.pathname.replace(/\/$/, '');
      if (target.host === u.host && path.startsWith(prefix)) return path.slice(prefix.length).replace(/^\/$/, '');
    } catch {
      // A target may be written in a way that no browser reads.
    }
  }
  const own = base.replace(/\/$/, '');
  return path === own || path.startsWith(`${own}/`) ? path.slice(own.length) : path.replace(/^\/$/, '');
}

function Pairs({ rows, add, change }: { rows: Pair[]; add: string; change: (rows: Pair[]) => void }) {
  const shown = rows.length ? rows : [{ name: '', value: '' }];
  const set = (i: number, more: Partial<Pair>) => change(shown.map((r, j) => (j === i ? { ...r, ...more } : r)));
  return (
    <Stack gap={6}>
      {shown.map((row, i) => (
        <div key={i} className={classes.pair}>
          <TextInput size="xs" aria-label={`${t('name')} ${i + 1}`} placeholder={t('name')} classNames={{ input: 'mono' }} autoComplete="off" value={row.name} onChange={(e) => set(i, { name: e.currentTarget.value })} />
          <TextInput size="xs" aria-label={`${t('value')} ${i + 1}`} placeholder={t('value')} classNames={{ input: 'mono' }} autoComplete="off" value={row.value} onChange={(e) => set(i, { value: e.currentTarget.value })} />
          <ActionIcon aria-label={t('removeRow', { n: i + 1 })} onClick={() => change(shown.filter((_, j) => j !== i))}>
            <IconX size={14} aria-hidden />
          </ActionIcon>
        </div>
      ))}
      <Button variant="subtle" size="compact-xs" w="fit-content" leftSection={<IconPlus size={12} aria-hidden />} onClick={() => change([...shown, { name: '', value: '' }])}>
        {add}
      </Button>
    </Stack>
  );
}

function History({ endpoint, onTake }: { endpoint: string; onTake: (d: Draft) => void }) {
  const [all, setAll] = useState(() => tries(endpoint));
  return (
    <Menu onOpen={() => setAll(tries(endpoint))}>
      <Menu.Target>
        <Button variant="subtle" size="compact-xs" leftSection={<IconHistory size={13} aria-hidden />}>
          {t('history')}
        </Button>
      </Menu.Target>
      <Menu.Dropdown className={classes.history}>
        {all.length ? (
          all.map((a) => (
            <Menu.Item key={`${a.at}`} onClick={() => onTake(a.draft)} rightSection={<span className="dim"><When at={a.at} /></span>}>
              <span className={`mono ${classes.tried}`}>
                <b>{a.status || '–'}</b> {a.draft.method} {a.draft.rest || '/'} <span className="dim">{a.draft.body.replace(/\s+/g, ' ').slice(0, 48)}</span>
              </span>
            </Menu.Item>
          ))
        ) : (
          <Text size="sm" className="dim" p={8}>
            {t('noHistory')}
          </Text>
        )}
      </Menu.Dropdown>
    </Menu>
  );
}

function PasteCurl({ opened, close, take }: { opened: boolean; close: () => void; take: (text: string) => string | undefined }) {
  const [text, setText] = useState('');
  const [error, setError] = useState<string>();
  const submit = () => {
    const wrong = take(text);
    setError(wrong);
    if (wrong) return;
    setText('');
    close();
  };
  return (
    <Modal opened={opened} onClose={close} title={t('fromCurlTitle')} size="lg" closeButtonProps={{ 'aria-label': t('close') }}>
      <Stack gap={12}>
        <Text size="sm" className="dim">
          {t('fromCurlWhy')}
        </Text>
        <Textarea
          aria-label={t('fromCurlTitle')}
          data-autofocus
          classNames={{ input: classes.body }}
          autosize
          minRows={6}
          maxRows={16}
          value={text}
          error={error}
          spellCheck={false}
          autoComplete="off"
          onChange={(e) => setText(e.currentTarget.value)}
          onKeyDown={(e) => {
            if (e.key !== 'Enter' || !(e.metaKey || e.ctrlKey)) return;
            e.preventDefault();
            e.stopPropagation();
            submit();
          }}
        />
        <Group justify="flex-end">
          <Button onClick={submit}>{t('take')}</Button>
        </Group>
      </Stack>
    </Modal>
  );
}
