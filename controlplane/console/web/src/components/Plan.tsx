import { type ReactNode } from 'react';
import { ChangeKind, type ConfigChange, type ConfigFieldChange, type ConfigNote, NoteLevel } from '@/gen/tollgate/control/v1/config_pb';
import { t } from '@/text/plan';
import classes from './Plan.module.css';
import { Chip, type Tone } from './Status';

type Did = 'create' | 'update' | 'delete';
const kinds: [ChangeKind, Did, string][] = [
  [ChangeKind.CREATE, 'create', '+'],
  [ChangeKind.UPDATE, 'update', '~'],
  [ChangeKind.DELETE, 'delete', '−'],
];
const levels: [NoteLevel, 'skipped' | 'warning' | 'info', Tone, string][] = [
  [NoteLevel.SKIPPED, 'skipped', 'off', '○'],
  [NoteLevel.WARNING, 'warning', 'warn', '▲'],
  [NoteLevel.INFO, 'info', 'info', '◆'],
];
/** Objects with more fields than this are closed at first, so that a plan can be read as a whole. */
const openUpTo = 8;

/** What files would change or have changed: the same as the command line's diff, with what each object's fields become. */
export function Plan({ changes, notes, done = false }: { changes: ConfigChange[]; notes: ConfigNote[]; done?: boolean }) {
  return (
    <div className={classes.plan}>
      <PlanSummary changes={changes} notes={notes} done={done} />
      {kinds.map(([kind, did, sign]) => {
        const all = changes.filter((c) => c.change === kind);
        return all.length ? (
          <section className={classes.group} key={did} aria-label={t(did)}>
            <h3>{t(did)}</h3>
            <ul className={classes.list}>
              {all.map((c) => (
                <li key={`${c.kind} ${c.name}`}>
                  <Change change={c} did={did} sign={sign} />
                </li>
              ))}
            </ul>
          </section>
        ) : null;
      })}
      {levels.map(([level, word, tone, sign]) => {
        const all = notes.filter((n) => n.level === level);
        return all.length ? (
          <section className={classes.group} key={word} aria-label={t(word)}>
            <h3>{t(word)}</h3>
            <ul className={classes.list}>
              {all.map((n, i) => (
                <li key={i} className={classes.note}>
                  <span aria-hidden className={classes.noteSign} data-tone={tone}>
                    {sign}
                  </span>
                  <span className="wrap">{n.text}</span>
                  {n.file || n.path ? (
                    <span className={`dim mono ${classes.where}`}>
                      {[n.line ? t('line', { file: n.file, line: String(n.line) }) : n.file, n.path].filter(Boolean).join('  ')}
                    </span>
                  ) : null}
                </li>
              ))}
            </ul>
          </section>
        ) : null;
      })}
    </div>
  );
}

function PlanSummary({ changes, notes, done }: { changes: ConfigChange[]; notes: ConfigNote[]; done: boolean }) {
  const of = (kind: ChangeKind) => changes.filter((c) => c.change === kind).length;
  const at = (level: NoteLevel) => notes.filter((n) => n.level === level).length;
  const [creates, updates, deletes] = [of(ChangeKind.CREATE), of(ChangeKind.UPDATE), of(ChangeKind.DELETE)];
  const [skips, warnings] = [at(NoteLevel.SKIPPED), at(NoteLevel.WARNING)];
  if (!creates && !updates && !deletes && !skips && !warnings) return <div>{t('nothing')}</div>;
  return (
    <ul className={classes.summary} aria-label={t('summary')}>
      {creates + updates + deletes === 0 ? <li>{t('nothing')}</li> : null}
      {creates ? <li><Chip tone="ok">{t(done ? 'created' : 'creates', { n: creates })}</Chip></li> : null}
      {updates ? <li><Chip tone="info">{t(done ? 'updated' : 'updates', { n: updates })}</Chip></li> : null}
      {deletes ? <li><Chip tone="bad">{t(done ? 'deleted' : 'deletes', { n: deletes })}</Chip></li> : null}
      {skips ? <li><Chip>{t('skips', { n: skips })}</Chip></li> : null}
      {warnings ? <li><Chip tone="warn">{t('warnings', { n: warnings })}</Chip></li> : null}
    </ul>
  );
}

const kindName = (kind: string) => kind.replaceAll('_', ' ');

function Change({ change: c, did, sign }: { change: ConfigChange; did: Did; sign: string }) {
  const head: ReactNode = (
    <>
      <span aria-hidden className={classes.sign} data-kind={did}>
        {sign}
      </span>
      <span className="dim">{kindName(c.kind)}</span>
      <span className={classes.name}>{c.name}</span>
      {c.drift ? <Chip tone="warn">{t('drift')}</Chip> : null}
      {c.fields.length ? <span className={`dim ${classes.count}`}>{t('fields', { n: c.fields.length })}</span> : null}
      {c.effect ? <span className={classes.effect}>{c.effect}</span> : null}
    </>
  );
  if (!c.fields.length) return <div className={classes.plain}>{head}</div>;
  return (
    <details className={classes.change} open={c.fields.length <= openUpTo}>
      <summary>{head}</summary>
      <Fields fields={c.fields} created={did === 'create'} />
    </details>
  );
}

/** Fields before and after, as they stand in a file. */
export function Fields({ fields, created = false }: { fields: ConfigFieldChange[]; created?: boolean }) {
  return (
    <dl className={classes.fields}>
      {fields.map((f) => (
        <Field key={f.path} field={f} created={created} />
      ))}
    </dl>
  );
}

function Field({ field: f, created }: { field: ConfigFieldChange; created: boolean }) {
  return (
    <>
      <dt className="mono">{f.path}</dt>
      <dd>
        {created ? null : (
          <>
            {f.before ? <del className={`mono ${classes.before}`}>{f.before}</del> : <span className={`dim ${classes.arrow}`}>{t('unset')}</span>}
            <span aria-hidden className={classes.arrow}>→</span>
          </>
        )}
        {f.after ? <ins className={`mono ${classes.after}`}>{f.after}</ins> : <span className="dim">{t('unset')}</span>}
      </dd>
    </>
  );
}
