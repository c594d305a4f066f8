// A range of time as it stands in addresses: "-7d" to "now", or two days.

export interface Range {
  from: string;
  to: string;
}

const units: Record<string, number> = { m: 60_000, h: 3_600_000, d: 86_400_000 };
const relativeForm = /^-(\d{1,4})([mhd])$/;

/** Reads one end; undefined for what is none. */
export function end(text: string, now: number): number | undefined {
  if (text === 'now') return now;
  const m = relativeForm.exec(text);
  if (m) return now - Number(m[1]) * units[m[2]!]!;
  if (text === 'month') {
    const d = new Date(now);
    return Date.UTC(d.getUTCFullYear(), d.getUTCMonth(), 1);
  }
  const at = Date.parse(text.length === 10 ? `${text}T00:00:00Z` : text);
  return Number.isNaN(at) ? undefined : at;
}

/** Both ends in milliseconds. A day as the last end is part of the range. What is no range is the fallback. */
export function resolve(range: Range, now: number, fallback: Range = { from: '-7d', to: 'now' }): { from: number; to: number } {
  const from = end(range.from, now);
  let to = end(range.to, now);
  if (to !== undefined && /^\d{4}-\d\d-\d\d$/.test(range.to)) to += units.d!;
  if (from === undefined || to === undefined || from >= to) {
    return { from: end(fallback.from, now)!, to: end(fallback.to, now)! };
  }
  return { from, to };
}

/** The range of the same length before, or after. */
export function shift(range: { from: number; to: number }, steps: number): Range {
  const by = (range.to - range.from) * steps;
  return { from: new Date(range.from + by).toISOString().slice(0, 19) + 'Z', to: new Date(range.to + by).toISOString().slice(0, 19) + 'Z' };
}
