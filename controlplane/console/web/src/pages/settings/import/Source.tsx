import { Button, Group, Textarea } from '@mantine/core';
import { IconFileUpload } from '@tabler/icons-react';
import { type DragEvent, useRef, useState } from 'react';
import { t } from '@/text/import';
import classes from '../Settings.module.css';

export interface Chosen {
  name: string;
  text: Uint8Array;
}

const most = 4_000_000;

/** Where files come from: dropped, chosen or pasted. They are read here and kept by nothing but the page. */
export function Source({ onChosen }: { onChosen: (files: Chosen[]) => void }) {
  const input = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  const [pasting, setPasting] = useState(false);
  const [text, setText] = useState('');
  const [wrong, setWrong] = useState('');
  const take = async (list: FileList | null) => {
    const files = [...(list ?? [])];
    const large = files.find((f) => f.size > most);
    setWrong(large ? t('tooLarge', { file: large.name, size: (large.size / 1e6).toFixed(1) }) : '');
    if (large || !files.length) return;
    onChosen(await Promise.all(files.map(async (f) => ({ name: f.name, text: new Uint8Array(await f.arrayBuffer()) }))));
  };
  const drop = (e: DragEvent) => {
    e.preventDefault();
    setOver(false);
    void take(e.dataTransfer.files);
  };
  return (
    <>
      <div
        className={classes.drop}
        data-over={over || undefined}
        onDragOver={(e) => {
          e.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={drop}
      >
        <IconFileUpload size={24} aria-hidden />
        <span>{t('drop')}</span>
        <Group gap={8} justify="center">
          <Button onClick={() => input.current?.click()}>{t('choose')}</Button>
          <Button variant="default" aria-expanded={pasting} onClick={() => setPasting(!pasting)}>
            {t('paste')}
          </Button>
        </Group>
        <input ref={input} type="file" hidden multiple accept=".yaml,.yml,text/yaml,application/yaml" data-testid="import-file" onChange={(e) => void take(e.currentTarget.files).finally(() => (e.target.value = ''))} />
        {wrong ? <span role="alert" className="bad">{wrong}</span> : null}
      </div>
      {pasting ? (
        <form
          onSubmit={(e) => {
            e.preventDefault();
            if (text.trim()) onChosen([{ name: t('pasteName'), text: new TextEncoder().encode(text) }]);
          }}
          onKeyDown={(e) => {
            if (e.key === 'Enter' && (e.metaKey || e.ctrlKey)) e.currentTarget.requestSubmit();
          }}
        >
          <Textarea mt="sm" data-autofocus autoFocus label={t('pasteLabel')} autosize minRows={8} maxRows={24} value={text} spellCheck={false} classNames={{ input: 'mono' }} onChange={(e) => setText(e.currentTarget.value)} />
          <Group justify="flex-end" mt="xs">
            <Button type="submit" disabled={!text.trim()}>
              {t('planIt')}
            </Button>
          </Group>
        </form>
      ) : null}
    </>
  );
}
