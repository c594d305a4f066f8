// Puts together what two people made of the same endpoint.

import { clone, type DescField, toJson } from '@bufbuild/protobuf';
import { type Endpoint, EndpointSchema } from '@/gen/tollgate/control/v1/endpoint_pb';

/** Fields that people set. What the server says of an endpoint is never in conflict. */
const own = EndpointSchema.fields.filter((f) => !['id', 'etag', 'revision', 'create_time', 'update_time', 'warnings', 'disabled', 'managed_by'].includes(f.name));

export interface Difference {
  field: string;
  base: string;
  theirs: string;
  mine: string;
  both: boolean;
  taken: 'theirs' | 'mine';
}

/** Where three states of an endpoint differ. What both changed alike is no difference. */
export function differences(base: Endpoint, theirs: Endpoint, mine: Endpoint): Difference[] {
  const of = [base, theirs, mine].map((e) => toJson(EndpointSchema, e) as Record<string, unknown>);
  const text = (i: number, f: DescField) => show(of[i]![f.jsonName]);
  return own.flatMap((f) => {
    const [b, t, m] = [text(0, f), text(1, f), text(2, f)];
    if (t === m || (b === t && b === m)) return [];
    return [{ field: f.name, base: b, theirs: t, mine: m, both: b !== t && b !== m, taken: b === m ? ('theirs' as const) : ('mine' as const) }];
  });
}

function show(value: unknown): string {
  if (value === undefined) return '';
  if (typeof value === 'string') return value;
  return JSON.stringify(value, undefined, 1).replace(/[{}[\]",]/g, '').replace(/^\s*\n/gm, '').replace(/^ /gm, '').trim();
}

/** What is stored now, with the fields that are kept of mine. */
export function merged(theirs: Endpoint, mine: Endpoint, choices: Record<string, 'theirs' | 'mine'>): Endpoint {
  const out = clone(EndpointSchema, theirs);
  const from = clone(EndpointSchema, mine) as unknown as Record<string, unknown>;
  for (const f of own) {
    if (choices[f.name] !== 'mine') continue;
    if (from[f.localName] === undefined) delete (out as unknown as Record<string, unknown>)[f.localName];
    else (out as unknown as Record<string, unknown>)[f.localName] = from[f.localName];
  }
  return out;
}
