// What a body is and how it is shown.

export type Kind = 'json' | 'events' | 'text' | 'binary' | 'none';

/** Decides by what the answer says it is, and by the bytes where it says nothing. */
export function kindOf(contentType: string | undefined, bytes: Uint8Array): Kind {
  if (!bytes.length) return 'none';
  const type = (contentType ?? '').split(';')[0]!.trim().toLowerCase();
  if (type === 'text/event-stream') return 'events';
  if (/[/+]json$/.test(type)) return parsed(bytes) === undefined ? 'text' : 'json';
  if (type.startsWith('text/') || /[/+](xml|yaml|javascript|x-ndjson|x-www-form-urlencoded)$/.test(type)) return 'text';
  if (type.startsWith('image/') || type.startsWith('audio/') || type.startsWith('video/') || type === 'application/octet-stream') return 'binary';
  if (!readable(bytes)) return 'binary';
  return parsed(bytes) === undefined ? 'text' : 'json';
}

export const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

export function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(text(bytes)) as unknown;
  } catch {
    return undefined;
  }
}

function readable(bytes: Uint8Array): boolean {
  try {
    const t = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, 4096 - (4096 % 4)), { stream: true });
    // oxlint-disable-next-line no-control-regex
    return !/[\u0000-\u0008\u000e-\u001a]/.test(t);
  } catch {
    return false;
  }
}

const perLine = 16;
/** Bytes as people look at them: where, what, and as text. */
export function hex(bytes: Uint8Array, most: number): string {
  const out: string[] = [];
  const shown = bytes.subarray(0, most);
  for (let at = 0; at < shown.length; at += perLine) {
    const line = shown.subarray(at, at + perLine);
    const digits = Array.from(line, (b) => b.toString(16).padStart(2, '0')).join(' ');
    const chars = Array.from(line, (b) => (b >= 0x20 && b < 0x7f ? String.fromCharCode(b) : '.')).join('');
    out.push(`${at.toString(16).padStart(6, '0')}  ${digits.padEnd(perLine * 3 - 1)}  ${chars}`);
  }
  return out.join('\n');
}

export interface ServerEvent {
  name: string;
  data: string;
}

/** The events of a stream as far as it has come. */
export function events(stream: string): ServerEvent[] {
  return stream
    .split(/\r\n\r\n|\n\n|\r\r/)
    .map((block) => {
      const fields = block.split(/\r\n|\n|\r/).map((line) => /^(\w+):? ?(.*)$/.exec(line));
      const of = (name: string) => fields.filter((f) => f?.[1] === name).map((f) => f![2]!);
      return { name: of('event').at(-1) ?? '', data: of('data').join('\n') };
    })
    .filter((e) => e.name || e.data);
}
