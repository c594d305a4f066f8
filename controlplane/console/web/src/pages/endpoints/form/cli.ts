// The command that makes the endpoint of a draft.

import { type Endpoint, ForwardHeaders, MatchKind, Mode } from '@/gen/tollgate/control/v1/endpoint_pb';
import { editable, nanos } from '@/lib/money';
import { durationText } from './duration';
import { modeOf } from './lines';

const plain = /^[\w@%+=:,./-]+$/;
/** A word as a shell takes it. */
export const quote = (text: string) => (plain.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

export function commandOf(e: Endpoint): string {
  const out: string[] = [`tollgate endpoint create ${quote(e.name || 'NAME')}`];
  const add = (flag: string, value?: string) => void out.push(value === undefined ? flag : `${flag} ${quote(value)}`);
  add('--path', e.path || '/path');
  if (e.match === MatchKind.EXACT) add('--exact');
  for (const m of e.methods) add('--method', m);
  if (e.models) add('--models');
  else for (const target of e.targets) add('--target', target.url || 'https://…');
  for (const h of e.headers) {
    const mode = modeOf('header', h);
    if (mode === Mode.REMOVE) add('--strip-header', h.name);
    else add(mode === Mode.DEFAULT ? '--default-header' : '--header', `${h.name}: ${h.value}`);
  }
  for (const q of e.query) {
    const mode = modeOf('query', q);
    if (mode === Mode.REMOVE) add('--strip-query', q.name);
    else add(mode === Mode.SET ? '--set-query' : '--query', `${q.name}=${q.value}`);
  }
  if (e.forwardHeaders === ForwardHeaders.ALL) add('--forward', 'all');
  if (e.forwardHeaders === ForwardHeaders.NONE) add('--forward', 'none');
  if (e.keyHeader) add('--key-header', e.keyHeader);
  const access = e.access?.kind;
  if (access?.case === 'public') {
    add('--public');
    add('--rate-limit', String(access.value.requestsPerMinute));
  }
  if (e.timeout) add('--timeout', durationText(e.timeout));
  if (e.timeouts?.connect) add('--connect-timeout', durationText(e.timeouts.connect));
  if (e.timeouts?.idle) add('--idle-timeout', durationText(e.timeouts.idle));
  if (e.timeouts?.total) add('--total-timeout', durationText(e.timeouts.total));
  if (e.maxBodyBytes) add('--max-body-bytes', String(e.maxBodyBytes));
  const price = e.price?.kind;
  switch (price?.case) {
    case 'free': add('--free'); break;
    case 'fixed': add('--price', price.value.perRequest ? editable(nanos(price.value.perRequest)) : 'DOLLARS'); break;
    case 'reported':
      out.push(price.value.header ? `--price-reported=${quote(price.value.header)}` : '--price-reported');
      add('--ceiling', price.value.ceiling ? editable(nanos(price.value.ceiling)) : 'DOLLARS');
      break;
    case 'metered':
    case 'usage': add('--price-file', 'price.yaml'); break;
    case undefined: if (!e.models) add('--price', 'DOLLARS');
  }
  return out.join(' \\\n  ');
}
