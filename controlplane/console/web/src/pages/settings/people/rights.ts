// The rights that a token can be given one by one.

import { Permission } from '@/gen/tollgate/control/v1/access_pb';
import { t } from '@/text/people';

export const rights = [
  Permission.CONFIG_READ, Permission.CONFIG_WRITE, Permission.KEYS_READ, Permission.KEYS_WRITE, Permission.SECRETS_READ, Permission.SECRETS_WRITE, Permission.MONEY_READ, Permission.MONEY_WRITE,
  Permission.TRY, Permission.EDGES_READ, Permission.EDGES_WRITE, Permission.AUDIT_READ, Permission.PEOPLE_READ, Permission.PEOPLE_WRITE, Permission.SETTINGS_WRITE,
] as const;

/** As the command line names it: "config-read". */
export const rightName = (p: Permission) => Permission[p]!.toLowerCase().replaceAll('_', '-');

/** What it lets a program do. */
export const rightText = (p: (typeof rights)[number]) => t(`may_${Permission[p] as 'TRY'}`);

const day = 86_400_000;

/** When a token that lives so many days ends; undefined for never. */
export const endAfter = (days: number, now: number): number | undefined => (days > 0 ? now + days * day : undefined);
