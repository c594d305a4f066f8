// Who is signed in, and what they may do.

import { useSuspenseQuery } from '@connectrpc/connect-query';
import { Permission } from '@/gen/tollgate/control/v1/access_pb';
import { AccountService } from '@/gen/tollgate/control/v1/account_pb';

export { Permission };

/** The caller. Only below the shell, which waits for it. */
export function useCaller() {
  const { data } = useSuspenseQuery(AccountService.method.getCaller, {}, { staleTime: 60_000 });
  const everywhere = new Set(data.permissions);
  return {
    caller: data,
    /** Name or e-mail address of a person, or the name of a token. */
    name: data.person?.name || data.person?.email || data.token,
    /** Whether they may everywhere; who may only in their teams is refused by the server elsewhere. */
    may: (p: Permission) => everywhere.has(p),
    teams: data.teams,
  };
}
