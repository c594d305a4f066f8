// Fills the parameters of a template into its endpoint.

import { fromJson, type JsonValue, toJson } from '@bufbuild/protobuf';
import { type Endpoint, EndpointSchema } from '@/gen/tollgate/control/v1/endpoint_pb';
import type { Template } from '@/gen/tollgate/control/v1/template_pb';
import { fresh } from './model';

/** The endpoint of a template. "{NAME}" stands for a parameter wherever there is text. */
export function filled(template: Template, values: Record<string, string>): Endpoint | undefined {
  if (!template.endpoint) return undefined;
  const names = new Map(template.parameters.map((p) => [p.name, values[p.name] || p.default]));
  const fill = (v: JsonValue): JsonValue => {
    if (typeof v === 'string') return v.replace(/\{([a-z][a-z0-9_]*)\}/g, (all, name: string) => names.get(name) ?? all);
    if (Array.isArray(v)) return v.map(fill);
    if (v && typeof v === 'object') return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, fill(x)]));
    return v;
  };
  return fresh(fromJson(EndpointSchema, fill(toJson(EndpointSchema, template.endpoint))));
}

/** Parameters that have to be said. */
export const missing = (template: Template, values: Record<string, string>) => template.parameters.filter((p) => !(values[p.name] ?? '').trim() && !p.default).map((p) => p.name);
