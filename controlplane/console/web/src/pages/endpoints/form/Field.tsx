import { Button } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { type ReactNode, useId } from 'react';
import { MatchKind } from '@/gen/tollgate/control/v1/endpoint_pb';
import { t } from '@/text/endpoint-form';
import { type FormContext, useForm, type Wrong } from './context';
import classes from './Field.module.css';

/** What an input of a field is given, so that it is tied to its label and to what is said of it. */
export interface Bound {
  id: string;
  'aria-describedby': string | undefined;
  'data-field': string;
  error: boolean;
  disabled: boolean;
  onBlur: () => void;
}

/** A row of the form: its label, its control, and what is to be said of it. */
export function Field({
  field,
  label,
  required,
  hint,
  notes,
  children,
}: {
  field: string;
  label: string;
  required?: boolean;
  hint?: ReactNode;
  /** More to say below the control. */
  notes?: ReactNode;
  children: (bound: Bound) => ReactNode;
}) {
  const form = useForm();
  const id = useId();
  const wrong = form.wrong(field);
  const told = wrong.length > 0 || form.notes(field).length > 0 || Boolean(hint);
  return (
    <div className={classes.field}>
      <label className={classes.label} htmlFor={id}>
        {label}
        {required ? <span aria-hidden className={classes.required}>*</span> : null}
      </label>
      <div className={classes.control}>
        {children({
          id,
          'aria-describedby': told ? `${id}-told` : undefined,
          'data-field': field,
          error: wrong.length > 0,
          disabled: form.disabled,
          onBlur: () => form.touch(field),
        })}
        <div id={`${id}-told`} className={classes.told}>
          {hint ? <div className="dim">{hint}</div> : null}
          <Messages field={field} />
        </div>
        {notes}
      </div>
    </div>
  );
}

/** What is wrong at a field, and what may be meant otherwise, each with what can be done about it. */
export function Messages({ field, among }: { field: string; among?: (w: Wrong) => boolean }) {
  const form = useForm();
  const pass = among ?? (() => true);
  return (
    <>
      {form.wrong(field).filter(pass).map((w) => <Message key={w.field + w.code + w.text} wrong={w} bad />)}
      {form.notes(field).filter(pass).map((w) => <Message key={w.field + w.code + w.text} wrong={w} />)}
    </>
  );
}

export function Message({ wrong, bad }: { wrong: Wrong; bad?: boolean }) {
  const form = useForm();
  return (
    <div className={classes.message} data-bad={bad || undefined} role={bad ? 'alert' : undefined}>
      <span aria-hidden className={classes.sign}>{bad ? '■' : '▲'}</span>
      <span>
        {wrong.text} <Fix wrong={wrong} form={form} />
      </span>
    </div>
  );
}

function Fix({ wrong, form }: { wrong: Wrong; form: FormContext }) {
  const at = /^targets\[(\d+)\]/.exec(wrong.field)?.[1];
  const button = (text: string, run: () => void) => (
    <Button size="compact-xs" variant="default" disabled={form.disabled} onClick={run}>
      {text}
    </Button>
  );
  const url = (change: (old: string) => string) =>
    form.change((e) => {
      const target = e.targets[Number(at)];
      if (target) target.url = change(target.url);
    });
  switch (wrong.code) {
    case 'path_taken':
    case 'methods_overlap':
    case 'path_inside':
    case 'name_taken':
      return wrong.object ? (
        <Button size="compact-xs" variant="default" component={Link} to={`/endpoints/${wrong.object}/overview`} target="_blank">
          {t('open', { name: wrong.object })}
        </Button>
      ) : null;
    case 'target_has_path':
      return button(t('switchExact'), () => form.change((e) => void (e.match = MatchKind.EXACT)));
    case 'target_scheme':
      return button(t('useHttps'), () => url((old) => `https://${old.trim().replace(/^[a-z][a-z0-9+.-]*:\/*/i, '')}`));
    case 'target_plain':
      return button(t('useHttps'), () => url((old) => old.trim().replace(/^http:/i, 'https:')));
    case 'target_userinfo':
      return button(t('dropUserinfo'), () => url((old) => old.replace(/\/\/[^/@]*@/, '//')));
    case 'target_fragment':
      return button(t('dropFragment'), () => url((old) => old.replace(/#.*$/, '')));
    case 'methods_not_charged':
      return button(t('onlyPost'), () => form.change((e) => void (e.methods = ['POST'])));
    case 'disabled':
      return form.base ? null : button(t('switchOn'), () => form.change((e) => void (e.disabled = false)));
    default:
      return null;
  }
}
