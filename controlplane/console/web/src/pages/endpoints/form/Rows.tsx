import { ActionIcon, Button, Select, TextInput, Tooltip } from '@mantine/core';
import { IconX } from '@tabler/icons-react';
import { useId, useState } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { Mode } from '@/gen/tollgate/control/v1/endpoint_pb';
import { t } from '@/text/endpoint-form';
import { useForm } from './context';
import { Messages } from './Field';
import { heldIn, hold } from './held';
import { type Kind, modeOf, type Row, row } from './lines';
import { Offer, useStore } from './Offer';
import { SecretDialog } from './SecretDialog';
import { useSecrets } from './useReferences';
import { refs, withVariables } from './value';
import { ValueField } from './ValueField';
import classes from './Rows.module.css';

/** Rows of headers or query parameters: name, value, and what they do to those of the same name. */
export function Rows({ kind, rows, field, onChange }: { kind: Kind; rows: Row[]; field: string; onChange: (rows: Row[]) => void }) {
  if (!rows.length) return null;
  const set = (i: number, change: Partial<Pick<Row, 'name' | 'value' | 'mode'>>) =>
    onChange(rows.map((r, n) => (n === i ? row(kind, change.name ?? r.name, change.value ?? r.value, change.mode ?? modeOf(kind, r)) : r)));
  return (
    <div className={classes.rows} role="group" aria-label={kind === 'header' ? t('headers') : t('query')}>
      <div className={classes.head} aria-hidden>
        <span>{t('rowName')}</span>
        <span>{t('rowValue')}</span>
        <span>{t('rowMode')}</span>
        <span />
      </div>
      {rows.map((r, i) => (
        <RowFields key={i} kind={kind} row={r} field={`${field}[${i}]`} onChange={(change) => set(i, change)} onRemove={() => onChange(rows.filter((_, n) => n !== i))} />
      ))}
    </div>
  );
}

function RowFields({ kind, row: r, field, onChange, onRemove }: { kind: Kind; row: Row; field: string; onChange: (change: Partial<Pick<Row, 'name' | 'value' | 'mode'>>) => void; onRemove: () => void }) {
  const form = useForm();
  const id = useId();
  const [dialog, setDialog] = useState<{ name: string; rotate: boolean }>();
  const mode = modeOf(kind, r);
  const held = heldIn(r.value);
  const secrets = useSecrets();
  const { may } = useCaller();
  const missing = secrets && refs(r.value).find((p) => p.kind === 'secret' && !secrets.has(p.name));
  const keep = useStore(r, (value) => onChange({ value }));
  const named = r.name.trim() || t('unnamed');
  const wrong = form.wrong(field);
  const wrongName = wrong.some((w) => w.field !== `${field}.value`);
  const wrongValue = wrong.some((w) => w.field === `${field}.value`);
  const authorization = kind === 'header' && mode === Mode.SET && r.name.trim().toLowerCase() === 'authorization' && r.value !== '';
  return (
    <div className={classes.rowGroup}>
      <div className={classes.row}>
        <TextInput
          className={classes.name}
          classNames={{ input: 'mono' }}
          aria-label={kind === 'header' ? t('headerName') : t('parameterName')}
          placeholder={kind === 'header' ? t('headerNamePlaceholder') : t('parameterNamePlaceholder')}
          data-field={`${field}.name`}
          aria-describedby={`${id}-told`}
          value={r.name}
          error={wrongName}
          disabled={form.disabled}
          autoComplete="off"
          autoCapitalize="off"
          spellCheck={false}
          onChange={(e) => onChange({ name: e.currentTarget.value })}
          onBlur={() => {
            // A value that was there before its header had a name may be a credential after all.
            const value = hold(withVariables(r.value), r.name);
            if (value !== r.value) onChange({ value });
            form.touch(`${field}.name`);
          }}
        />
        <div className={classes.value}>
          {mode === Mode.REMOVE ? (
            <div className={classes.removed}>{kind === 'header' ? t('headerLeftOut') : t('parameterLeftOut')}</div>
          ) : (
            <ValueField
              value={r.value}
              name={r.name}
              label={t('valueOf', { name: named })}
              field={`${field}.value`}
              describedBy={`${id}-told`}
              error={wrongValue}
              onChange={(value) => onChange({ value })}
              onAccept={() => void keep.store()}
              onCreate={(name) => setDialog({ name, rotate: false })}
              onReplace={(name) => setDialog({ name, rotate: true })}
            />
          )}
        </div>
        <Select
          className={classes.mode}
          aria-label={t('modeOf', { name: named })}
          value={String(mode)}
          disabled={form.disabled}
          onChange={(v) => onChange(Number(v) === Mode.REMOVE ? { mode: Mode.REMOVE, value: '' } : { mode: Number(v) })}
          data={[
            { value: String(Mode.SET), label: t('modeSet') },
            { value: String(Mode.DEFAULT), label: t('modeDefault') },
            { value: String(Mode.REMOVE), label: t('modeRemove') },
          ]}
          comboboxProps={{ width: 200, position: 'bottom-end' }}
        />
        <Tooltip label={t('removeRow')}>
          <ActionIcon aria-label={t('removeNamed', { name: named })} disabled={form.disabled} onClick={onRemove} className={classes.remove}>
            <IconX size={16} aria-hidden />
          </ActionIcon>
        </Tooltip>
      </div>
      <div id={`${id}-told`} className={classes.told}>
        {held ? <Offer keep={keep} /> : null}
        {missing && may(Permission.SECRETS_WRITE) ? (
          <Button size="compact-xs" variant="default" disabled={form.disabled} onClick={() => setDialog({ name: missing.name, rotate: false })} mb={4}>
            {t('createNamed', { name: missing.name })}
          </Button>
        ) : null}
        <Messages field={field} among={(w) => !(held && w.code === 'secret_missing')} />
        {authorization ? <div className="dim">{t('authorizationNote')}</div> : null}
      </div>
      {dialog ? <SecretDialog {...dialog} onClose={() => setDialog(undefined)} onSaved={(name) => name !== dialog.name && onChange({ value: r.value.replace(`\${secret:${dialog.name}}`, () => `\${secret:${name}}`) })} /> : null}
    </div>
  );
}
