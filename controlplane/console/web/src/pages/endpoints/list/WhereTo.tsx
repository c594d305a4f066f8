import { Anchor, NativeSelect, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery } from '@connectrpc/connect-query';
import { IconRoute } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { problemOf } from '@/api/errors';
import { Status } from '@/components/Status';
import { EndpointService } from '@/gen/tollgate/control/v1/endpoint_pb';
import { ExplainService } from '@/gen/tollgate/control/v1/explain_pb';
import { t } from '@/text/endpoints';
import classes from '../EndpointsPage.module.css';

const methods = ['POST', 'GET', 'PUT', 'PATCH', 'DELETE', 'HEAD'];

/** Where a request would go, as a live edge says, in a line. What is asked is in the address: "POST /bria/v1/x", or a path for POST. */
export function WhereTo({ value, onChange }: { value: string | undefined; onChange: (value: string | undefined) => void }) {
  const parts = /^([A-Z]+) (.*)$/.exec(value ?? '');
  const method = parts?.[1] ?? 'POST';
  const path = parts?.[2] ?? value ?? '';
  const [asked] = useDebouncedValue(path.trim(), 250);
  const set = (m: string, p: string) => onChange(!p ? undefined : m === 'POST' ? p : `${m} ${p}`);
  return (
    <div className={classes.where}>
      <IconRoute size={16} aria-hidden className="dim" />
      <span className={classes.whereLabel}>{t('whereTo')}</span>
      <NativeSelect size="xs" w={92} aria-label={t('whereMethod')} value={method} data={methods.includes(method) ? methods : [...methods, method]} onChange={(e) => set(e.currentTarget.value, path)} />
      <TextInput
        size="xs"
        className={classes.wherePath}
        classNames={{ input: 'mono' }}
        aria-label={t('whereTo')}
        placeholder={t('wherePlaceholder')}
        spellCheck={false}
        autoComplete="off"
        value={path}
        onChange={(e) => set(method, e.currentTarget.value)}
      />
      <div className={classes.whereAnswer} aria-live="polite">
        {asked ? asked.startsWith('/') ? <Answer method={method} path={asked} /> : <span className="dim">{t('whereSlash')}</span> : null}
      </div>
    </div>
  );
}

function Answer({ method, path }: { method: string; path: string }) {
  const told = useQuery(ExplainService.method.explain, { method, path }, { retry: false });
  const found = told.data?.explanation?.endpoint ?? '';
  const endpoint = useQuery(EndpointService.method.getEndpoint, { endpoint: found }, { enabled: !!found });
  // The stages after the key need one; the draft that changes nothing is tried as who may do everything.
  const route = useQuery(EndpointService.method.previewEndpoint, { endpoint: endpoint.data?.endpoint, tries: [{ method, path }] } as never, { enabled: !!endpoint.data });
  if (told.error) return <Status tone="warn">{problemOf(told.error).message}</Status>;
  const x = told.data?.explanation;
  if (!x) return null;
  if (!found) return <Status tone="bad">{t('whereNone', { method, path, status: x.refusal?.status ?? 404, code: x.refusal?.code ?? '' })}</Status>;
  const name = (
    <Anchor key="name" component={Link} to="/endpoints/$name/$tab" params={{ name: found, tab: 'overview' } as never} inherit>
      {found}
    </Anchor>
  );
  const own = route.data?.tries[0];
  if (!own) return <Status tone="off">{name}</Status>;
  const request = (
    <span key="request" className="mono">
      {`${method} ${path}`}
    </span>
  );
  if (own.refusal) return <Status tone="warn">{t.rich('whereRefused', { request, name, message: own.refusal.message })}</Status>;
  return (
    <Status tone="ok">
      {t.rich('whereGoes', {
        request,
        name,
        url: (
          <span key="url" className="mono wrap">
            {own.url.replace(/^[A-Z]+ /, '')}
          </span>
        ),
      })}
    </Status>
  );
}
