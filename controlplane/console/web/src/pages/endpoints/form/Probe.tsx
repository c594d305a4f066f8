import { Anchor, Button } from '@mantine/core';
import { useEffect, useState } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { clientOf } from '@/api/client';
import { problemOf } from '@/api/errors';
import { kept } from '@/api/store';
import { zone } from '@/app/preferences';
import { Status } from '@/components/Status';
import { EdgeService, type ProbeResult } from '@/gen/tollgate/control/v1/edge_pb';
import { list } from '@/lib/text';
import { day, millis, span, took } from '@/lib/time';
import { t } from '@/text/endpoint-form';
import classes from './RouteSection.module.css';

/** Whether targets are tried while they are typed. */
const automatic = kept('check-targets', true);

type State = { url: string; results?: ProbeResult[]; failed?: string } | undefined;

/** Has edges connect to a target, and says what they found. It never keeps anybody from saving. */
export function Probe({ url, endpoint, onSuggestion }: { url: string; endpoint: string; onSuggestion: (url: string) => void }) {
  const on = automatic.use();
  const { may } = useCaller();
  const allowed = may(Permission.CONFIG_WRITE);
  const [asked, setAsked] = useState(0);
  const [state, setState] = useState<State>();
  const target = probable(url);
  useEffect(() => {
    if (!target || !allowed || (!on && !asked)) {
      setState(undefined);
      return;
    }
    const stop = new AbortController();
    const timer = setTimeout(() => {
      setState({ url: target });
      clientOf(EdgeService)
        .probeTarget({ url: target, endpoint }, { signal: stop.signal, timeoutMs: 20_000 })
        .then((r) => setState({ url: target, results: r.results }))
        .catch((err: unknown) => !stop.signal.aborted && setState({ url: target, failed: problemOf(err).message }));
    }, asked ? 0 : 600);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [target, endpoint, on, asked, allowed]);
  useEffect(() => setAsked(0), [target]);
  if (!target || !allowed) return null;
  return (
    <div className={classes.probe} aria-live="polite">
      {state ? <Found state={state} onSuggestion={onSuggestion} /> : null}
      <span className={classes.end}>
        {on && state && (state.results || state.failed) ? (
          <Anchor component="button" type="button" size="xs" onClick={() => setAsked((n) => n + 1)}>
            {t('checkAgain')}
          </Anchor>
        ) : null}
        {on ? null : (
          <Anchor component="button" type="button" size="xs" onClick={() => setAsked((n) => n + 1)}>
            {t('check')}
          </Anchor>
        )}
        <Anchor ml={10} component="button" type="button" size="xs" c="dimmed" onClick={() => automatic.set(!on)}>
          {on ? t('checkOff') : t('checkOn')}
        </Anchor>
      </span>
    </div>
  );
}

function Found({ state, onSuggestion }: { state: NonNullable<State>; onSuggestion: (url: string) => void }) {
  const z = zone.use();
  if (state.failed) return <Status tone="off">{state.failed}</Status>;
  if (!state.results) return <span className="dim">{t('checking')}</span>;
  const all = state.results;
  if (!all.length) return <Status tone="off">{t('checkNobody')}</Status>;
  const good = all.filter((r) => r.reached);
  const bad = all.filter((r) => !r.reached);
  const suggestion = bad.find((r) => r.suggestion)?.suggestion;
  const expires = millis(good.find((r) => r.certificateExpireTime)?.certificateExpireTime);
  const slowest = Math.max(0, ...good.map((r) => span(r.dns) + span(r.connect) + span(r.tls) + span(r.firstByte)));
  const causes = new Map<string, ProbeResult[]>();
  for (const r of bad) causes.set(r.error || r.stage, [...(causes.get(r.error || r.stage) ?? []), r]);
  return (
    <>
      {good.length ? (
        <Status tone="ok">
          {[
            t('reached', { took: took(slowest) }),
            expires ? t('tlsUntil', { day: day(expires, z) }) : '',
            bad.length ? t('fromEdges', { names: list(good.map((r) => r.node)) }) : all.length > 1 ? t('fromAll', { n: all.length }) : '',
          ].filter(Boolean).join(' · ')}
        </Status>
      ) : null}
      {[...causes].map(([cause, of]) => (
        <Status key={cause} tone="warn">
          {bad.length === all.length && causes.size === 1 ? t('notReached', { cause }) : t('notReachedFrom', { names: list(of.map((r) => r.node)), cause })}
        </Status>
      ))}
      {suggestion ? (
        <Button size="compact-xs" variant="default" onClick={() => onSuggestion(withHost(state.url, suggestion))}>
          {t('didYouMean', { name: suggestion })}
        </Button>
      ) : null}
    </>
  );
}

/** A URL that can be connected to; empty while it is still typed. */
function probable(text: string): string {
  try {
    const u = new URL(text.trim());
    const host = u.hostname;
    if (!/^https?:$/.test(u.protocol) || u.username || u.password || text.includes('${')) return '';
    return host.includes('.') || host === 'localhost' || host.startsWith('[') || u.port ? u.href.replace(/\/$/, '') : '';
  } catch {
    return '';
  }
}

function withHost(url: string, host: string): string {
  const u = new URL(url);
  u.hostname = host;
  return u.href.replace(/\/$/, '');
}
