// A request that came with an endpoint is left for the panel that tries it.

import type { Sample } from '@/gen/tollgate/control/v1/price_pb';

export interface FirstRequest {
  method: string;
  /** Path and query below the endpoint's. */
  path: string;
  headers: { name: string; value: string }[];
  body: string;
}

export const keyOfFirst = (endpoint: string) => `tollgate-try-${endpoint}`;

export function leaveFirst(endpoint: string, request: FirstRequest | undefined): void {
  try {
    if (request) sessionStorage.setItem(keyOfFirst(endpoint), JSON.stringify(request));
  } catch {
    // Storage may be off.
  }
}

export function firstOf(sample: Sample | undefined): FirstRequest | undefined {
  if (!sample) return undefined;
  return {
    method: sample.method || 'POST',
    path: sample.path,
    headers: sample.requestHeaders.map((h) => ({ name: h.name, value: h.value })),
    body: new TextDecoder().decode(sample.requestBody),
  };
}
