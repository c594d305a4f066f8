import { Group } from '@mantine/core';
import { useMemo, useState } from 'react';
import { CopyText } from '@/components/CopyText';
import { JsonTree } from '@/components/JsonTree';
import type { ExplainHeader } from '@/gen/tollgate/control/v1/explain_pb';
import { count } from '@/lib/text';
import { t } from '@/text/try';
import { events, hex, kindOf, parsed, text } from './body';
import classes from './Try.module.css';
import { ViewSwitch } from './TryResult';

type View = 'tree' | 'events' | 'raw' | 'headers' | 'hex';
const hexMost = 16 << 10;
const rawMost = 256 << 10;

export const size = (n: number) => (n < 1024 ? `${n} B` : n < 1 << 20 ? `${(n / 1024).toFixed(1)} KiB` : `${(n / (1 << 20)).toFixed(1)} MiB`);

/** The answer: as a tree, as events as they come, as it is, or byte by byte. Nothing of it is fetched from elsewhere. */
export function AnswerView({ headers, body, cut }: { headers: ExplainHeader[]; body: Uint8Array; cut: boolean }) {
  const type = headers.find((h) => h.name === 'content-type')?.value;
  const kind = useMemo(() => kindOf(type, body), [type, body]);
  const [chosen, setChosen] = useState<View>();
  const views: View[] = kind === 'json' ? ['tree', 'raw', 'headers'] : kind === 'events' ? ['events', 'raw', 'headers'] : kind === 'binary' ? ['hex', 'headers'] : kind === 'none' ? ['headers'] : ['raw', 'headers'];
  const view = chosen && views.includes(chosen) ? chosen : views[0]!;
  return (
    <>
      <Group justify="space-between" mb={8} gap={8}>
        <ViewSwitch label={t('views')} value={view} change={setChosen} views={views.map((v) => ({ value: v, label: t(`view_${v}`) }))} />
        {kind === 'binary' ? <span className="dim">{t('binary', { type: type ?? '?', size: size(body.length) })}</span> : null}
        {kind === 'none' ? <span className="dim">{t('noBody')}</span> : null}
        {view === 'raw' || view === 'tree' ? <CopyText value={text(body)} label={t('copyBody')} iconOnly /> : null}
      </Group>
      <div className={classes.pane} tabIndex={0} role="region" aria-label={t('response')}>
        {view === 'tree' ? <JsonTree value={parsed(body)} /> : null}
        {view === 'raw' ? <pre className={classes.pre}>{text(body.subarray(0, rawMost))}</pre> : null}
        {view === 'hex' ? <pre className={classes.hex}>{hex(body, hexMost)}</pre> : null}
        {view === 'events' ? <Events stream={text(body)} /> : null}
        {view === 'headers' ? (
          <dl className={classes.headers}>
            {headers.map((h, i) => (
              <div key={i} style={{ display: 'contents' }}>
                <dt>{h.name}</dt>
                <dd>{h.value}</dd>
              </div>
            ))}
          </dl>
        ) : null}
      </div>
      {cut || (view === 'raw' && body.length > rawMost) ? <div className="dim">{t('cut', { size: size(view === 'raw' ? Math.min(body.length, rawMost) : body.length) })}</div> : null}
      {view === 'hex' && body.length > hexMost ? <div className="dim">{t('hexCut', { n: count(hexMost) })}</div> : null}
    </>
  );
}

const eventsMost = 500;

function Events({ stream }: { stream: string }) {
  const all = events(stream);
  return (
    <ol className={classes.events}>
      {all.slice(-eventsMost).map((e, i) => (
        <li key={all.length > eventsMost ? all.length - eventsMost + i : i}>
          <span className="dim">{e.name || t('event', { n: Math.max(all.length - eventsMost, 0) + i + 1 })}</span>
          <code className="mono wrap">{e.data}</code>
        </li>
      ))}
    </ol>
  );
}
