import { useHour } from '@/app/clock';
import { useKeys } from '@/app/keys';
import { zone } from '@/app/preferences';
import { type Range, resolve, shift } from '@/lib/range';
import { zoneId } from '@/lib/time';

const usual: Range = { from: '-30d', to: 'now' };

/** The range of time of a page, moved by "[" and "]". */
export function useRange(search: { from?: string; to?: string }, change: (range: { from: string | undefined; to: string | undefined }) => void) {
  // A range to now moves on with the hours in which usage is kept.
  const hour = useHour();
  const range = { from: search.from ?? usual.from, to: search.to ?? usual.to };
  const now = Math.max(hour, Date.now() - 60_000);
  const resolved = resolve(range, Math.floor(now / 60_000) * 60_000, usual);
  const set = (r: Range) => change({ from: r.from === usual.from && r.to === usual.to ? undefined : r.from, to: r.to === usual.to ? undefined : r.to });
  useKeys({ '[': () => set(shift(resolved, -1)), ']': () => set(shift(resolved, 1)) });
  return { range, resolved, set, timeZone: zoneId(zone.use()) };
}
