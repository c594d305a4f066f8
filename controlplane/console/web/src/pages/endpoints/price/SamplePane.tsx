import { ActionIcon, Button, Group, SegmentedControl, Textarea } from '@mantine/core';
import { IconPlus, IconX } from '@tabler/icons-react';
import { useMemo, useState } from 'react';
import { JsonTree, type Path } from '@/components/JsonTree';
import type { Meter } from '@/gen/tollgate/control/v1/meter_pb';
import { exact, nanos } from '@/lib/money';
import { list } from '@/lib/text';
import { t } from '@/text/price';
import { framesOf, pasted, type StoredSample } from './sample';
import classes from './SamplePane.module.css';
import type { Trial } from './useTrial';

const largest = 3_000_000;

/** An exchange beside the meters: its numbers can be pressed, and it says what it would cost. */
export function SamplePane({
  samples,
  active,
  onActive,
  onSamples,
  last,
  trial,
  meter,
  onPick,
}: {
  samples: (StoredSample | undefined)[];
  active: number;
  onActive: (i: number) => void;
  onSamples: (samples: (StoredSample | undefined)[], active: number) => void;
  last: StoredSample | undefined;
  trial: Trial;
  meter: Meter | undefined;
  onPick: (place: 'frame' | 'request', path: Path, value: unknown) => void;
}) {
  const sample = samples[active];
  const [pasting, setPasting] = useState(false);
  const put = (s: StoredSample | undefined) => onSamples(samples.with(active, s), active);
  return (
    <aside className={classes.pane} aria-label={t('sample')}>
      <div className={classes.head}>
        {samples.length > 1 ? (
          <SegmentedControl value={String(active)} onChange={(v) => onActive(Number(v))} data={[{ value: '0', label: t('sampleOne') }, { value: '1', label: t('sampleTwo') }]} aria-label={t('sample')} />
        ) : (
          <b>{t('sample')}</b>
        )}
        <Group gap={4} ml="auto">
          {last && sample?.body !== last.body ? (
            <Button size="compact-xs" variant="default" onClick={() => put(last)}>
              {t('sampleLast')}
            </Button>
          ) : null}
          {sample && !pasting ? (
            <Button size="compact-xs" variant="default" onClick={() => setPasting(true)}>
              {t('samplePaste')}
            </Button>
          ) : null}
          {samples.length > 1 ? (
            <ActionIcon size={24} aria-label={t('sampleRemove')} onClick={() => onSamples(samples.toSpliced(active, 1), 0)}>
              <IconX size={14} aria-hidden />
            </ActionIcon>
          ) : sample ? (
            <ActionIcon size={24} aria-label={t('sampleAdd')} title={t('sampleAdd')} onClick={() => onSamples([...samples, undefined], 1)}>
              <IconPlus size={14} aria-hidden />
            </ActionIcon>
          ) : null}
        </Group>
      </div>
      {!sample || pasting ? (
        <Paste
          key={active}
          first={!sample}
          onUse={(body) => {
            put(sample ? { ...sample, body, status: 200, headers: [] } : pasted(body));
            setPasting(false);
          }}
          onCancel={sample ? () => setPasting(false) : undefined}
        />
      ) : (
        <>
          <Bill trial={trial} />
          <Exchange sample={sample} meter={meter} onPick={onPick} />
        </>
      )}
    </aside>
  );
}

function Paste({ first, onUse, onCancel }: { first: boolean; onUse: (body: string) => void; onCancel: (() => void) | undefined }) {
  const [text, setText] = useState('');
  const tooLarge = text.length > largest;
  return (
    <div className={classes.paste}>
      {first ? <div className="dim">{t('sampleNone')}</div> : null}
      <Textarea
        label={t('samplePasteLabel')}
        description={t('samplePasteHint')}
        inputWrapperOrder={['label', 'input', 'description', 'error']}
        rows={7}
        spellCheck={false}
        autoComplete="off"
        classNames={{ input: 'mono' }}
        value={text}
        error={tooLarge ? t('sampleTooLarge') : undefined}
        onChange={(e) => setText(e.currentTarget.value)}
      />
      <Group gap="xs">
        <Button variant="default" disabled={!text.trim() || tooLarge} onClick={() => onUse(text)}>
          {t('sampleUse')}
        </Button>
        {onCancel ? (
          <Button variant="subtle" color="gray" onClick={onCancel}>
            {t('cancel')}
          </Button>
        ) : null}
      </Group>
    </div>
  );
}

function Bill({ trial }: { trial: Trial }) {
  const r = trial.result;
  if (trial.unready) return null;
  if (!r) {
    return trial.problem ? <div className={`bad ${classes.bill}`}>{trial.problem.violations[0]?.text ?? trial.problem.message}</div> : <div className={`dim ${classes.bill}`}>{t('testing')}</div>;
  }
  return (
    <div className={classes.bill} data-stale={trial.stale || undefined} aria-live="polite">
      <div className={classes.total}>
        <span>{t('totalOf')}</span>
        <b>{r.charged || nanos(r.total) > 0n ? exact(nanos(r.total)) : t('notCharged')}</b>
      </div>
      {r.lines.map((l, i) => (
        <div key={i} className={classes.billLine}>
          {t(l.per > 1n ? 'linePer' : 'line', { unit: l.unit, quantity: l.quantity, price: `$${l.price}`, per: l.per.toLocaleString('en'), amount: `$${l.amount}` } as never)}
        </div>
      ))}
      {r.unpriced.length ? <div className="warn">{t('unpricedText', { list: list(r.unpriced) })}</div> : null}
      {r.holdReason ? <div className="dim">{t('held', { amount: exact(nanos(r.hold)), reason: r.holdReason })}</div> : null}
      {r.notes.map((n) => (
        <div key={n} className="dim">
          {n}
        </div>
      ))}
      {trial.problem ? <div className="bad">{trial.problem.violations[0]?.text ?? trial.problem.message}</div> : null}
    </div>
  );
}

function Exchange({ sample, meter, onPick }: { sample: StoredSample; meter: Meter | undefined; onPick: (place: 'frame' | 'request', path: Path, value: unknown) => void }) {
  const [side, setSide] = useState<'frame' | 'request'>('frame');
  const answer = useMemo(() => framesOf(sample.body), [sample.body]);
  const request = useMemo(() => framesOf(sample.requestBody), [sample.requestBody]);
  const frames = side === 'frame' ? answer : request;
  const picked = useMemo(() => {
    const out = new Set<string>();
    for (const c of meter?.counters ?? []) for (const s of c.sources) if (s.place.case === side) out.add(s.place.value.replace(/\.(\d+)(?=\.|$)/g, '[$1]').replaceAll('\\', ''));
    return out;
  }, [meter, side]);
  const pick = meter && !meter.free ? (path: Path, value: unknown) => onPick(side, path, value) : undefined;
  return (
    <>
      {request ? (
        <SegmentedControl
          size="xs"
          className={classes.sides}
          value={side}
          onChange={(v) => setSide(v as 'frame' | 'request')}
          data={[
            { value: 'frame', label: t('sampleResponse') },
            { value: 'request', label: t('sampleRequest') },
          ]}
          aria-label={t('sample')}
        />
      ) : null}
      {frames ? (
        <>
          <div className={`dim ${classes.hint}`}>{frames.length > 1 ? t('sampleEvents', { n: frames.length }) : t('sampleHint')}</div>
          <div className={classes.tree} tabIndex={0} role="region" aria-label={t(side === 'frame' ? 'sampleResponse' : 'sampleRequest')}>
            {frames.length === 1 ? (
              <JsonTree value={frames[0]!.value} onPick={pick} picked={picked} label={t('sample')} />
            ) : (
              // The last events come first: totals are told at the end.
              frames
                .slice(-20)
                .map((f, i) => ({ ...f, n: Math.max(frames.length - 20, 0) + i + 1 }))
                .toReversed()
                .map((f) => (
                  <div key={f.n} className={classes.event}>
                    <div className="dim">{`${t('sampleEvent', { n: f.n })} ${f.event}`}</div>
                    <JsonTree value={f.value} onPick={pick} picked={picked} label={t('sampleEvent', { n: f.n })} />
                  </div>
                ))
            )}
          </div>
        </>
      ) : (
        <div className={`dim ${classes.hint}`}>{t('sampleRaw')}</div>
      )}
    </>
  );
}

