import { create } from '@bufbuild/protobuf';
import { Button, Group, Modal, Stack, Text, Textarea } from '@mantine/core';
import { useState } from 'react';
import { Status } from '@/components/Status';
import { type Endpoint, type Header, TargetSchema } from '@/gen/tollgate/control/v1/endpoint_pb';
import { t as shell } from '@/text/shell';
import { t } from '@/text/endpoint-form';
import { type FromCurl, fromCurl, readCurl } from './curl';
import type { FirstRequest } from './handover';
import { hold } from './held';
import { row } from './lines';
import { blank } from './model';
import { nameOfHost } from './path';

export interface Imported {
  endpoint: Endpoint;
  first: FirstRequest | undefined;
  ignored: string[];
}

/** An endpoint of what a command says. */
export function endpointOf(from: FromCurl): Endpoint {
  const e = blank();
  e.name = nameOfHost(new URL(from.target).host);
  e.path = e.name ? `/${e.name}` : '';
  e.targets = [create(TargetSchema, { url: from.target })];
  e.headers = from.headers.map((h) => row('header', h.name, hold(h.value, h.name)) as Header);
  return e;
}

/** Fills the form from a command of curl. The command is read here and sent nowhere. */
export function PasteCurl({ initial, onImport, onClose }: { initial: string; onImport: (i: Imported) => void; onClose: () => void }) {
  const [text, setText] = useState(initial);
  const [asked, setAsked] = useState(false);
  const curl = readCurl(text);
  const from = text.trim() ? fromCurl(curl) : undefined;
  const ignored = [...curl.ignored, ...curl.form.map((f) => `-F ${f}`)];
  const go = () => {
    setAsked(true);
    if (!from) return;
    const first = { method: curl.method, path: from.below, headers: from.requestHeaders.filter((h) => !/^cookie$/i.test(h.name)), body: curl.body };
    onImport({ endpoint: endpointOf(from), first, ignored });
  };
  return (
    <Modal opened onClose={onClose} size="lg" title={<Text fw={600} component="span">{t('pasteCurl')}</Text>} closeButtonProps={{ 'aria-label': shell('close') }}>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          go();
        }}
        onKeyDown={(e) => {
          if (e.key !== 'Enter' || !(e.metaKey || e.ctrlKey)) return;
          e.preventDefault();
          go();
        }}
      >
        <Stack gap="sm">
          <Textarea
            label={t('curlCommand')}
            description={t('curlHint')}
            placeholder={t('curlPlaceholder')}
            classNames={{ input: 'mono' }}
            autosize
            minRows={6}
            maxRows={16}
            value={text}
            onChange={(e) => setText(e.currentTarget.value)}
            error={(asked || text.trim().length > 12) && !from ? t('curlNoUrl') : undefined}
            spellCheck={false}
            autoComplete="off"
            data-autofocus
          />
          {from ? (
            <Stack gap={4} aria-live="polite">
              <Status tone="ok">{t('curlFound', { target: from.target, n: from.headers.length })}</Status>
              {from.below ? <Text size="xs" className="dim wrap">{t('curlBelow', { method: curl.method, path: from.below })}</Text> : null}
              {curl.cut ? <Status tone="warn">{t('curlCut')}</Status> : null}
              {ignored.length ? <Text size="xs" className="dim wrap">{t('curlIgnored', { list: ignored.join(', ') })}</Text> : null}
            </Stack>
          ) : null}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>{shell('cancel')}</Button>
            <Button type="submit">{t('fillForm')}</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
