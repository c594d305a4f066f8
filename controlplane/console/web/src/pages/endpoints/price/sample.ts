// An exchange that a price is tried on: of the last try, pasted, or pinned beside another.

import { create } from '@bufbuild/protobuf';
import { type Sample, SampleSchema } from '@/gen/tollgate/control/v1/price_pb';

/** An exchange as the page that tries requests leaves it for this tab. Credentials are not in it. */
export interface StoredSample {
  method: string;
  /** Path and query below the endpoint. */
  path: string;
  requestHeaders: [string, string][];
  requestBody: string;
  status: number;
  headers: [string, string][];
  body: string;
  /** When, in milliseconds since 1970. */
  at: number;
}

const keyOf = (endpoint: string) => `tollgate-sample-${endpoint}`;

export function storeSample(endpoint: string, sample: StoredSample): void {
  try {
    sessionStorage.setItem(keyOf(endpoint), JSON.stringify(sample));
  } catch {
    // Storage may be off or full: the sample can be pasted.
  }
}

export function storedSample(endpoint: string): StoredSample | undefined {
  try {
    const raw = JSON.parse(sessionStorage.getItem(keyOf(endpoint)) ?? 'null') as Partial<StoredSample> | null;
    if (!raw || typeof raw.body !== 'string') return undefined;
    return { ...pasted(raw.body), ...raw };
  } catch {
    return undefined;
  }
}

/** An answer of which nothing but the body is known. */
export function pasted(body: string): StoredSample {
  return { method: 'POST', path: '/', requestHeaders: [], requestBody: '', status: 200, headers: [], body, at: 0 };
}

export function sampleOf(s: StoredSample): Sample {
  const utf8 = new TextEncoder();
  return create(SampleSchema, {
    method: s.method,
    path: s.path,
    requestHeaders: s.requestHeaders.map(([name, value]) => ({ name, value })),
    requestBody: utf8.encode(s.requestBody),
    status: s.status,
    headers: s.headers.map(([name, value]) => ({ name, value })),
    body: utf8.encode(s.body),
  });
}

/** A document of an answer. Events of a stream have a name of their own. */
export interface Frame {
  event: string;
  value: unknown;
}

/** What an answer is made of, as meters see it: a document, events of a stream, or lines. Undefined if it is none of these. */
export function framesOf(body: string): Frame[] | undefined {
  const text = body.trim();
  if (!text) return undefined;
  const whole = parsed(text);
  if (whole) return [{ event: '', value: whole.value }];
  const events = /^(event|data|id|retry)?:/m.test(text) ? ofStream(text) : [];
  if (events.length) return events;
  const lines = text.split('\n').filter((l) => l.trim());
  const values = lines.map(parsed);
  return values.every((v) => v) ? values.map((v) => ({ event: '', value: v!.value })) : undefined;
}

function ofStream(text: string): Frame[] {
  const out: Frame[] = [];
  for (const block of text.split(/\r?\n\r?\n/)) {
    let event = '';
    const data: string[] = [];
    for (const line of block.split(/\r?\n/)) {
      if (line.startsWith('event:')) event = line.slice(6).trim();
      if (line.startsWith('data:')) data.push(line.slice(5).trimStart());
    }
    const value = parsed(data.join('\n'));
    if (value) out.push({ event, value: value.value });
  }
  return out;
}

function parsed(text: string): { value: unknown } | undefined {
  if (!/^[[{]/.test(text)) return undefined;
  try {
    return { value: JSON.parse(text) as unknown };
  } catch {
    return undefined;
  }
}
