// Durations as people type them: 90s, 1m30s, 250ms, or a number of seconds.

import { create } from '@bufbuild/protobuf';
import { type Duration, DurationSchema } from '@bufbuild/protobuf/wkt';

const sizes: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of a text; undefined for what is no duration. */
export function milliseconds(text: string): number | undefined {
  const t = text.trim().toLowerCase().replace(/\s+/g, '').replace(/,(?=\d{3}(\D|$))/g, '');
  if (/^\d+(\.\d+)?$/.test(t)) return Math.round(parseFloat(t) * 1000);
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(t)) return undefined;
  let sum = 0;
  for (const m of t.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) sum += parseFloat(m[1]!) * sizes[m[2]!]!;
  return Math.round(sum);
}

export const toDuration = (ms: number): Duration => create(DurationSchema, { seconds: BigInt(Math.floor(ms / 1000)), nanos: (ms % 1000) * 1_000_000 });

/** The shortest text that is read as the same. */
export function durationText(d: Duration | undefined): string {
  if (!d) return '';
  let ms = Math.round(parseInt(d.seconds.toString(), 10) * 1000 + d.nanos / 1e6);
  if (ms % 1000) return ms < 1000 ? `${ms}ms` : `${ms / 1000}s`;
  if (ms < 120_000) return `${ms / 1000}s`;
  let out = '';
  for (const unit of ['h', 'm', 's']) {
    const n = Math.floor(ms / sizes[unit]!);
    if (n) out += `${n}${unit}`;
    ms %= sizes[unit]!;
  }
  return out || '0s';
}

const bytesOf: Record<string, number> = { '': 1, b: 1, kb: 1000, mb: 1e6, gb: 1e9, kib: 1024, mib: 1024 ** 2, gib: 1024 ** 3, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** Bytes of a text such as 25 MiB; undefined for what is no size. */
export function bytes(text: string): number | undefined {
  const m = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim().replace(/,(?=\d{3}(\D|$))/g, ''));
  const size = m && bytesOf[m[2]!.toLowerCase()];
  return m && size ? Math.round(parseFloat(m[1]!) * size) : undefined;
}

export function bytesText(n: bigint): string {
  if (n === 0n) return '';
  for (const [unit, shift] of [['GiB', 30n], ['MiB', 20n], ['KiB', 10n]] as const) {
    const size = 1n << shift;
    if (n % size === 0n) return `${n / size} ${unit}`;
  }
  return `${n} B`;
}
