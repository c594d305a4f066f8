import { Permission, useCaller } from '@/api/caller';
import { TeamRole } from '@/gen/tollgate/control/v1/person_pb';

/** Whether the caller may change keys: all of them, or those of teams that they look after. */
export function useMayKeys() {
  const { may, teams } = useCaller();
  const all = may(Permission.KEYS_WRITE);
  const own = new Set(teams.filter((m) => m.role === TeamRole.ADMIN).map((m) => m.team));
  return { some: all || own.size > 0, all, of: (team: string) => all || own.has(team), own };
}
