import { Alert, Button, Group, Kbd, Text } from '@mantine/core';
import { useBlocker } from '@tanstack/react-router';
import { IconFileText } from '@tabler/icons-react';
import { type FormEvent, type KeyboardEvent, type ReactNode, useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { clientOf, refresh } from '@/api/client';
import { type Problem, problemOf } from '@/api/errors';
import { override } from '@/api/transport';
import { useOnline } from '@/app/Offline';
import { boot } from '@/boot';
import { Section } from '@/components/Page';
import { type Endpoint, EndpointService } from '@/gen/tollgate/control/v1/endpoint_pb';
import { PriceEditor } from '@/pages/endpoints/price/PriceEditor';
import { t as shell } from '@/text/shell';
import { t } from '@/text/endpoint-form';
import { AccessSection } from './AccessSection';
import { Advanced } from './advanced/Advanced';
import { early, Form, type FormContext, type Wrong } from './context';
import classes from './EndpointForm.module.css';
import { HeadersSection } from './HeadersSection';
import { forget, heldIn } from './held';
import { blank, fieldOf } from './model';
import { Leave, Review, Summary } from './parts';
import { PreviewPanel, type Test } from './PreviewPanel';
import { RouteSection } from './RouteSection';
import { dropDraft, useDraft } from './useDraft';
import { usePreview } from './usePreview';

const blankEndpoint = blank();

/**
 * The form by which endpoints are made and changed, with what the server says the draft would do beside it. Without an endpoint
 * it makes a new one, which begins as `initial` if that is given.
 */
export function EndpointForm({
  endpoint,
  initial,
  onSaved,
  onCancel,
  onDraft,
  above,
  focus,
}: {
  endpoint?: Endpoint | undefined;
  initial?: Endpoint | undefined;
  onSaved: (saved: Endpoint) => void;
  onCancel?: () => void;
  /** The draft whenever it changed, as it would be sent. */
  onDraft?: (draft: Endpoint) => void;
  above?: ReactNode;
  /** Fields of which the first one has the focus at first. */
  focus?: string[] | undefined;
}) {
  const { may } = useCaller();
  const online = useOnline();
  const id = endpoint?.id ?? '';
  const { base, draft, change, reset, dirty, restored, toSend } = useDraft(endpoint ?? initial ?? blankEndpoint, id, initial === undefined);
  const stored = endpoint ? base : undefined;

  const [test, setTest] = useState<Test>({ method: 'POST', path: '' });
  const tries = useMemo(() => {
    const path = test.path.trim();
    return path ? [{ method: test.method, path: path.startsWith('/') ? path : `/${path}` }] : [];
  }, [test]);
  const { query, about, current } = usePreview(toSend, tries, stored === undefined);

  const [touched, setTouched] = useState<ReadonlySet<string>>(new Set());
  const [submitted, setSubmitted] = useState(false);
  const [locals, setLocals] = useState<ReadonlyMap<string, string>>(new Map());
  const [refused, setRefused] = useState<{ problem: Problem; of: Endpoint }>();
  const [busy, setBusy] = useState(false);
  const [advanced, setAdvanced] = useState(false);
  const [confirmed, setConfirmed] = useState('');
  const [managed, setManaged] = useState(Boolean(stored?.managedBy));
  const [conflict, setConflict] = useState<Endpoint>();
  const [toFocus, setToFocus] = useState<string[] | undefined>(focus);
  const left = useRef(false);
  const root = useRef<HTMLFormElement>(null);

  useEffect(() => onDraft?.(toSend.endpoint), [onDraft, toSend]);
  useEffect(() => () => forget(), []);

  const touch = useCallback((field: string) => setTouched((now) => (now.has(field) ? now : new Set(now).add(field))), []);
  const local = useCallback(
    (field: string, text: string) =>
      setLocals((now) => {
        if ((now.get(field) ?? '') === text) return now;
        const next = new Map(now);
        if (text) next.set(field, text);
        else next.delete(field);
        return next;
      }),
    [],
  );

  // What is wrong: what the server says of the draft, what the form itself knows, and what a save was refused for.
  const all = useMemo(() => {
    const out: Wrong[] = (query.data?.violations ?? []).map((v) => ({ field: fieldOf(v.field, about), code: v.code, text: sentence(v.message), object: v.object }));
    for (const [field, text] of locals) out.push({ field, code: 'local', text, object: '' });
    for (const [list, rows] of [['headers', draft.headers], ['query', draft.query]] as const) {
      rows.forEach((r, i) => heldIn(r.value) && out.push({ field: `${list}[${i}].value`, code: 'held', text: t('heldError'), object: '' }));
    }
    if (refused?.of === draft) {
      for (const v of refused.problem.violations) {
        const field = fieldOf(v.field, toSend);
        if (!out.some((w) => w.field === field)) out.push({ field, code: v.code, text: sentence(v.text), object: '' });
      }
    }
    return out;
  }, [query.data, about, locals, draft, refused, toSend]);
  const notes = useMemo(() => (query.data?.warnings ?? []).map((v) => ({ field: fieldOf(v.field, about), code: v.code, text: v.message, object: v.object })), [query.data, about]);
  const due = useCallback(
    // That something is missing is only said to who thinks they are done.
    (w: Wrong) => submitted || (w.code !== 'held' && !/(^|_)required$/.test(w.code) && (touched.has(w.field) || (early.has(w.code) && query.data !== undefined) || [...touched].some((f) => w.field.startsWith(`${f}.`)))),
    [submitted, touched, query.data],
  );
  const shown = useMemo(() => all.filter(due), [all, due]);

  const editable = may(Permission.CONFIG_WRITE) && !managed;
  const context = useMemo<FormContext>(() => {
    const under = (list: Wrong[], field: string) => list.filter((w) => w.field === field || w.field.startsWith(`${field}.`) || w.field.startsWith(`${field}[`));
    return {
      draft,
      base: stored,
      change,
      gateway: boot.gatewayUrl.replace(/\/+$/, ''),
      preview: query.data,
      wrong: (field) => under(shown, field),
      notes: (field) => under(notes, field),
      touch,
      local,
      disabled: !editable,
    };
  }, [draft, stored, change, query.data, shown, notes, touch, local, editable]);

  useEffect(() => {
    if (!toFocus || !root.current) return;
    const fields = [...root.current.querySelectorAll<HTMLElement>('[data-field]')];
    const found = fields.find((el) => toFocus.some((f) => el.dataset.field === f || f.startsWith(`${el.dataset.field}.`) || el.dataset.field!.startsWith(`${f}.`)));
    if (!found && !advanced) {
      setAdvanced(true);
      return;
    }
    setToFocus(undefined);
    const input = found?.matches('input,textarea,button,select') ? found : (found?.querySelector<HTMLElement>('input:checked,input,textarea,button,select') ?? found);
    (input ?? root.current.querySelector<HTMLElement>('#endpoint-problems'))?.focus();
  }, [toFocus, advanced]);

  const save = async (value = toSend.endpoint) => {
    setBusy(true);
    setRefused(undefined);
    const calls = clientOf(EndpointService);
    try {
      const headers = stored?.managedBy ? override : undefined;
      const res = stored
        ? await calls.updateEndpoint({ endpoint: value }, headers ? { headers } : {})
        : await calls.createEndpoint({ endpoint: value });
      left.current = true;
      dropDraft(id);
      setSubmitted(false);
      setTouched(new Set());
      setConflict(undefined);
      if (stored) reset(res.endpoint!);
      void refresh(EndpointService);
      onSaved(res.endpoint!);
      if (stored) left.current = false;
    } catch (err) {
      const problem = problemOf(err);
      if (problem.code === 'stale_etag' && stored) {
        try {
          setConflict((await calls.getEndpoint({ endpoint: stored.id })).endpoint);
          return;
        } catch {
          // It cannot be read either: what was refused is said.
        }
      }
      setConflict(undefined);
      setRefused({ problem, of: draft });
      if (problem.violations.length) setToFocus(problem.violations.map((v) => fieldOf(v.field, toSend)));
    } finally {
      setBusy(false);
    }
  };
  const submit = (e?: FormEvent) => {
    e?.preventDefault();
    if (!editable || !online || busy) return;
    setSubmitted(true);
    // What the server said of an older draft keeps nobody from saving: it looks again.
    const wrong = current ? all : all.filter((w) => w.code === 'local' || w.code === 'held');
    if (wrong.length) setToFocus(wrong.map((w) => w.field));
    else void save();
  };
  const keys = (e: KeyboardEvent<HTMLFormElement>) => {
    if (e.key !== 'Enter' || e.defaultPrevented) return;
    // A dialog that the form opened has its own keys.
    if (!(e.target as HTMLElement).closest('form')?.isSameNode(root.current)) return;
    if (e.metaKey || e.ctrlKey) {
      e.preventDefault();
      submit();
    } else if ((e.target as HTMLElement).matches('input')) e.preventDefault();
  };

  const blocker = useBlocker({
    shouldBlockFn: ({ current: from, next: to }) => dirty && !left.current && from.pathname !== to.pathname,
    enableBeforeUnload: () => dirty && !left.current,
    withResolver: true,
  });

  // Notes about what stands in a section of its own are told there.
  const elsewhere = notes.filter((n) => !/^(path|name|match|methods|targets|headers|query|access|credentials)\b/.test(n.field));
  const problem = refused?.of === draft && !refused.problem.violations.length ? refused.problem : undefined;
  const priceProblem = useMemo(() => ({ violations: shown.filter((w) => /^price\b/.test(w.field)).map((w) => ({ field: w.field, code: w.code, text: w.text })) }), [shown]);
  return (
    <Form.Provider value={context}>
      <form ref={root} className={classes.form} onSubmit={submit} onKeyDown={keys} noValidate aria-label={stored ? t('formOf', { name: stored.name }) : t('newEndpoint')}>
        <div className={classes.columns}>
          <div className={classes.fields}>
            {managed ? (
              <Alert color="yellow" variant="outline" icon={<IconFileText size={18} aria-hidden />} className={classes.managed}>
                <Group justify="space-between" gap="sm">
                  <Text size="sm">{shell('managedBy', { file: stored!.managedBy })}</Text>
                  <Button size="compact-sm" variant="default" onClick={() => setManaged(false)}>{shell('editAnyway')}</Button>
                </Group>
              </Alert>
            ) : null}
            {above}
            <Summary wrong={submitted ? shown : []} problem={problem} />
            <RouteSection />
            <HeadersSection />
            {draft.models ? null : (
              <Section title={t('price')}>
                <fieldset className={classes.fieldset} disabled={!editable} data-field="price" onBlur={() => touch('price')}>
                  <PriceEditor value={draft.price} onChange={(price) => change((e) => void (e.price = price))} endpoint={stored} problem={priceProblem} />
                </fieldset>
              </Section>
            )}
            <AccessSection confirmed={confirmed} onConfirm={setConfirmed} />
            <Advanced open={advanced} onToggle={() => setAdvanced((o) => !o)} />
          </div>
          <aside className={classes.aside}>
            <PreviewPanel query={query} current={current} test={test} onTest={setTest} notes={elsewhere} />
          </aside>
        </div>
        <div className={classes.bar}>
          <Text size="xs" className="dim" aria-live="polite">
            {!editable && !managed ? t('mayNotEdit') : !online ? t('offline') : dirty ? (restored ? t('draftRestored') : t('draftKept')) : stored ? t('noChanges') : ''}
          </Text>
          <Group gap="xs">
            {dirty && (stored || restored) ? (
              <Button variant="subtle" color="gray" onClick={() => reset(stored ?? blankEndpoint)}>{t('discardChanges')}</Button>
            ) : null}
            {onCancel ? <Button variant="default" onClick={onCancel}>{shell('cancel')}</Button> : null}
            {editable ? (
              <Button type="submit" size="sm" loading={busy} disabled={!online || (stored !== undefined && !dirty)} rightSection={<Kbd size="xs" className={classes.kbd} aria-hidden>{mod}</Kbd>}>
                {stored ? t('saveChanges') : t('createEndpoint')}
              </Button>
            ) : null}
          </Group>
        </div>
      </form>
      {conflict && stored ? (
        <Review
          base={stored}
          theirs={conflict}
          mine={toSend.endpoint}
          onClose={() => setConflict(undefined)}
          onMerged={(value) => {
            reset(conflict, value);
            return save(value);
          }}
        />
      ) : null}
      {blocker.status === 'blocked' ? <Leave onStay={blocker.reset} onLeave={blocker.proceed} /> : null}
    </Form.Provider>
  );
}

// What the schema asks for is told with the name of its field, which people know by another.
function sentence(text: string): string {
  const own = text.replace(/^[\w.[\]]+: /, '');
  return own.charAt(0).toUpperCase() + own.slice(1);
}

const mod = /Mac|iPhone|iPad/.test(navigator.platform) ? '⌘⏎' : 'Ctrl ⏎';
