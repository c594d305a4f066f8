// What the server says went wrong, as people are told it.

import { Code, ConnectError } from '@connectrpc/connect';
import { BadRequestSchema, ErrorInfoSchema } from '@/gen/google/rpc/error_details_pb';

export interface Violation {
  /** Path of the field in the request, with the names of the schema: "targets[0].url". */
  field: string;
  code: string;
  text: string;
}

export interface Problem {
  /** Code of the catalogue of errors: "stale_etag". */
  code: string;
  /** What happened and why. */
  message: string;
  /** What to do; empty for nothing. */
  hint: string;
  requestId: string;
  /** Milliseconds after which it may be tried again; 0 if that is not known. */
  retryAfterMs: number;
  violations: Violation[];
  /** Whether the control plane cannot be reached or does not answer in time. */
  away: boolean;
  connect: Code;
}

export function problemOf(err: unknown): Problem {
  const e = ConnectError.from(err);
  const info = e.findDetails(ErrorInfoSchema)[0];
  return {
    code: info?.reason || snake(Code[e.code]!),
    message: e.rawMessage,
    hint: info?.metadata.hint ?? '',
    requestId: info?.metadata.request_id ?? '',
    retryAfterMs: Number(info?.metadata.retry_after_ms ?? 0),
    violations: e.findDetails(BadRequestSchema).flatMap((d) => d.fieldViolations.map((v) => ({ field: v.field, code: v.reason, text: v.description }))),
    away: e.code === Code.Unavailable || e.code === Code.DeadlineExceeded || (e.code === Code.Unknown && e.cause instanceof TypeError),
    connect: e.code,
  };
}

const snake = (name: string) => name.replace(/(?<!^)([A-Z])/g, '_$1').toLowerCase();

/** The violations of one field, or of what is below it. */
export const violationsOf = (problem: Problem | undefined, field: string) =>
  (problem?.violations ?? []).filter((v) => v.field === field || v.field.startsWith(`${field}.`) || v.field.startsWith(`${field}[`));
