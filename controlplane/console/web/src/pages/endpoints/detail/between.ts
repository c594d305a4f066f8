// How one endpoint differs from another, field by field, in the names of the schema.

import { clone, create, toJson } from '@bufbuild/protobuf';
import { type FieldChange, FieldChangeSchema } from '@/gen/tollgate/control/v1/audit_pb';
import { type Endpoint, EndpointSchema } from '@/gen/tollgate/control/v1/endpoint_pb';

/** What changes from one to the other, without what the server sets by itself. */
export function between(before: Endpoint, after: Endpoint): FieldChange[] {
  const a = flat(plain(before));
  const b = flat(plain(after));
  return [...new Set([...a.keys(), ...b.keys()])]
    .filter((path) => a.get(path) !== b.get(path))
    .map((path) => create(FieldChangeSchema, { path, before: a.get(path) ?? '', after: b.get(path) ?? '' }));
}

function plain(e: Endpoint): unknown {
  const own = clone(EndpointSchema, e);
  own.etag = '';
  own.revision = 0n;
  own.warnings = [];
  delete own.createTime;
  delete own.updateTime;
  return toJson(EndpointSchema, own, { useProtoFieldName: true });
}

function flat(value: unknown, path = '', into = new Map<string, string>()): Map<string, string> {
  if (Array.isArray(value)) value.forEach((v, i) => flat(v, `${path}[${i}]`, into));
  else if (value !== null && typeof value === 'object' && Object.keys(value).length) for (const [k, v] of Object.entries(value)) flat(v, path ? `${path}.${k}` : k, into);
  else into.set(path, JSON.stringify(value));
  return into;
}
