// The endpoint that a form edits. It is the message itself, so that whatever the form has no field for is stored as it was read.

import { clone, create, equals, fromJsonString, toJsonString } from '@bufbuild/protobuf';
import { type Endpoint, EndpointSchema, ForwardHeaders, MatchKind, type QueryParameter } from '@/gen/tollgate/control/v1/endpoint_pb';
import { credentialIn } from './credential';
import { veiled } from './held';
import { type Kind, type Row, row } from './lines';

/** A new endpoint, with a row in which its first header can be written. */
export function blank(): Endpoint {
  return create(EndpointSchema, {
    price: { kind: { case: 'fixed', value: {} } },
    match: MatchKind.PREFIX,
    forwardHeaders: ForwardHeaders.SAFE_LIST,
    access: { kind: { case: 'keys', value: {} } },
    targets: [{ url: '' }],
    headers: [{ name: '', value: '' }],
  });
}

const empty = (r: Row) => !r.name.trim() && !r.value.trim();

/** What is sent of a draft, and where its rows were. */
export interface Sent {
  endpoint: Endpoint;
  headers: number[];
  query: number[];
}

/** A draft as the server takes it: without rows in which nothing was written, and without credentials that have no place yet. */
export function sent(draft: Endpoint): Sent {
  const e = clone(EndpointSchema, draft);
  const keep = (rows: Row[]) => rows.flatMap((r, i) => (empty(r) ? [] : [i]));
  const headers = keep(e.headers);
  const query = keep(e.query);
  e.headers = headers.map((i) => e.headers[i]!);
  e.query = query.map((i) => e.query[i]!);
  for (const r of [...e.headers, ...e.query]) {
    r.name = r.name.trim();
    r.value = veiled(r.value, '(credential)');
  }
  if (e.targets.length === 1 && !e.targets[0]!.url.trim() && e.models) e.targets = [];
  for (const t of e.targets) t.url = t.url.trim();
  e.warnings = [];
  return { endpoint: e, headers, query };
}

/** The field of the form for a field of what was sent: without "endpoint.", and with the row's number in the form. */
export function fieldOf(field: string, s: Sent): string {
  return field.replace(/^endpoint\./, '').replace(/^(headers|query)\[(\d+)\]/, (_, list: 'headers' | 'query', n: string) => `${list}[${s[list][Number(n)] ?? n}]`);
}

/** A draft as it is kept in the tab: nothing in it that looks like a credential. */
export function toStore(draft: Endpoint): string {
  const e = clone(EndpointSchema, draft);
  const credentials = e.credentials.flatMap((c) => [...c.headers, ...c.query]);
  for (const r of [...e.headers, ...e.query, ...credentials]) {
    r.value = veiled(r.value);
    if (credentialIn(r.value, r.name)) r.value = '';
  }
  if (e.awsSigning) {
    const a = e.awsSigning;
    for (const f of ['accessKeyId', 'secretAccessKey', 'sessionToken', 'externalId'] as const) if (!a[f].includes('${')) a[f] = '';
  }
  for (const target of e.targets) {
    if (target.tls && !target.tls.clientKey.includes('${')) target.tls.clientKey = '';
  }
  return toJsonString(EndpointSchema, e);
}

export function fromStore(text: string): Endpoint | undefined {
  try {
    return fromJsonString(EndpointSchema, text, { ignoreUnknownFields: true });
  } catch {
    return undefined;
  }
}

/** Whether two drafts mean the same. */
export const same = (a: Endpoint, b: Endpoint) => equals(EndpointSchema, sent(a).endpoint, sent(b).endpoint);

/** A copy of an endpoint as a draft of a new one. */
export function duplicate(of: Endpoint): Endpoint {
  const e = clone(EndpointSchema, of);
  e.name = `${of.name}-copy`.slice(0, 63);
  e.path = of.path === '/' ? '/copy' : `${of.path}-copy`;
  return fresh(e);
}

/** What the server says of an endpoint and is not part of its settings is taken away. */
export function fresh(e: Endpoint): Endpoint {
  e.id = e.etag = e.managedBy = '';
  e.revision = 0n;
  delete e.createTime;
  delete e.updateTime;
  e.warnings = [];
  return e;
}

export const rowsOf = (e: Endpoint, kind: Kind): Row[] => (kind === 'header' ? e.headers : e.query);

export function setRows(e: Endpoint, kind: Kind, rows: Row[]): void {
  if (kind === 'header') e.headers = rows.map((r) => row('header', r.name, r.value, r.mode) as Endpoint['headers'][number]);
  else e.query = rows.map((r) => row('query', r.name, r.value, r.mode) as QueryParameter);
}
