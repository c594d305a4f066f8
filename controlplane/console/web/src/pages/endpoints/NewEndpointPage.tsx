import { useQuery } from '@connectrpc/connect-query';
import { Alert, Button } from '@mantine/core';
import { IconInfoCircle, IconTemplate, IconTerminal2 } from '@tabler/icons-react';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import { Page } from '@/components/Page';
import { Failure, Lines, Soon } from '@/components/Region';
import { type Endpoint, EndpointService } from '@/gen/tollgate/control/v1/endpoint_pb';
import { t as shell } from '@/text/shell';
import { t } from '@/text/endpoint-form';
import { commandOf } from './form/cli';
import { EndpointForm } from './form/EndpointForm';
import { type FirstRequest, leaveFirst } from './form/handover';
import { blank, duplicate } from './form/model';
import { PasteCurl } from './form/PasteCurl';
import { Templates } from './form/Templates';
import classes from './NewEndpointPage.module.css';

const route = getRouteApi('/endpoints/new');

/** An endpoint that has a path and nothing else. */
function at(path: string): Endpoint {
  const endpoint = blank();
  endpoint.path = path;
  return endpoint;
}

interface Start {
  /** Counts what the form was filled with, so that it begins anew. */
  n: number;
  endpoint?: Endpoint;
  first?: FirstRequest | undefined;
  said: string[];
}

/** Makes an endpoint: from nothing, of a template, of a command of curl, or of another endpoint. */
export function NewEndpointPage() {
  const { from, template, curl, path } = route.useSearch();
  const navigate = route.useNavigate();
  const [start, setStart] = useState<Start>({ n: 0, said: [] });
  const [draft, setDraft] = useState<Endpoint>(blank);
  const source = useQuery(EndpointService.method.getEndpoint, { endpoint: from ?? '' }, { enabled: from !== undefined && start.n === 0, staleTime: Infinity });
  const open = (search: { template?: string; curl?: string }) => void navigate({ search, replace: true });
  const begin = (endpoint: Endpoint, first: FirstRequest | undefined, said: string[]) => {
    setStart((s) => ({ n: s.n + 1, endpoint, first, said }));
    open({});
  };
  const copied = from !== undefined && start.n === 0 ? source.data?.endpoint : undefined;
  const waits = from !== undefined && start.n === 0 && !source.data;
  return (
    <Page
      title={t('newEndpoint')}
      parent={{ to: '/endpoints', label: shell('endpoints') }}
      actions={
        <>
          <Button variant="default" leftSection={<IconTerminal2 size={15} aria-hidden />} onClick={() => open({ curl: '1' })}>{t('pasteCurl')}</Button>
          <Button variant="default" leftSection={<IconTemplate size={15} aria-hidden />} onClick={() => open({ template: 'pick' })}>{t('template')}</Button>
        </>
      }
      copy={{ cli: commandOf(draft), call: { method: EndpointService.method.createEndpoint, input: { endpoint: draft } } }}
    >
      {waits && source.error ? <Failure error={source.error} retry={() => void source.refetch()} /> : null}
      {waits ? (
        source.error ? null : (
          <Soon>
            <Lines n={10} />
          </Soon>
        )
      ) : (
        <EndpointForm
          key={`${start.n}${copied ? from : ''}`}
          initial={start.endpoint ?? (copied ? duplicate(copied) : path ? at(path) : undefined)}
          above={
            start.said.length ? (
              <Alert variant="outline" color="gray" icon={<IconInfoCircle size={18} aria-hidden />} className={classes.said} withCloseButton closeButtonLabel={shell('close')} onClose={() => setStart((s) => ({ ...s, said: [] }))}>
                {start.said.map((s) => (
                  <div key={s}>{s}</div>
                ))}
              </Alert>
            ) : undefined
          }
          onDraft={setDraft}
          onCancel={() => void navigate({ to: '/endpoints' })}
          onSaved={(e) => {
            leaveFirst(e.name, start.first);
            void navigate({ to: '/endpoints/$name/$tab', params: { name: e.name, tab: 'try' }, search: { new: true } });
          }}
        />
      )}
      {curl ? (
        <PasteCurl
          initial=""
          onClose={() => open({})}
          onImport={(i) => begin(i.endpoint, i.first, i.ignored.length ? [t('curlIgnored', { list: i.ignored.join(', ') })] : [])}
        />
      ) : null}
      {template ? <Templates name={template} onPick={(name) => open({ template: name })} onClose={() => open({})} onImport={(i) => begin(i.endpoint, i.first, i.notes)} /> : null}
    </Page>
  );
}
