import { getRouteApi } from '@tanstack/react-router';
import { useHour } from '@/app/clock';
import { useKeys } from '@/app/keys';
import { zone } from '@/app/preferences';
import { type Range, resolve, shift } from '@/lib/range';
import { zoneId } from '@/lib/time';

const route = getRouteApi('/endpoints/$name/$tab');
const usual: Range = { from: '-24h', to: 'now' };

/** The range of time in the address, moved by "[" and "]". */
export function useRange(): { range: Range; resolved: { from: number; to: number }; set: (range: Range) => void; timeZone: string } {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  // A range to now moves on with the hours in which usage is kept.
  const hour = useHour();
  const range = { from: search.from ?? usual.from, to: search.to ?? usual.to };
  const now = Math.max(hour, Date.now() - 60_000);
  const resolved = resolve(range, Math.floor(now / 60_000) * 60_000, usual);
  const set = (r: Range) =>
    void navigate({ search: (s) => ({ ...s, from: r.from === usual.from && r.to === usual.to ? undefined : r.from, to: r.to === usual.to ? undefined : r.to }), replace: true });
  useKeys({ '[': () => set(shift(resolved, -1)), ']': () => set(shift(resolved, 1)) });
  return { range, resolved, set, timeZone: zoneId(zone.use()) };
}
