import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import type { Endpoint } from '@/gen/tollgate/control/v1/endpoint_pb';
import { type Draft, emptyDraft, withoutCredentials } from '@/pages/requests/try/draft';
import { TryPanel } from '@/pages/requests/try/TryPanel';
import { type FirstRequest, keyOfFirst } from '../form/handover';

const route = getRouteApi('/endpoints/$name/$tab');

/** A request to an endpoint, sent from here. A new endpoint begins with the request that it was made of, if there was one. */
export default function Try({ endpoint }: { endpoint: Endpoint }) {
  const { new: fresh } = route.useSearch();
  const [initial] = useState(() => (fresh ? firstDraft(endpoint.name) : undefined));
  return <TryPanel key={endpoint.id} endpoint={endpoint.name} initial={initial} />;
}

function firstDraft(name: string): Draft | undefined {
  try {
    const first = JSON.parse(sessionStorage.getItem(keyOfFirst(name)) ?? 'null') as FirstRequest | null;
    // What authenticates to the target is the endpoint's own by now.
    return first ? withoutCredentials({ ...emptyDraft, method: first.method, rest: first.path, headers: first.headers, body: first.body }) : undefined;
  } catch {
    return undefined;
  }
}
