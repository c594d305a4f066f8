import { Radio, Stack } from '@mantine/core';
import { Role } from '@/gen/tollgate/control/v1/person_pb';
import { t } from '@/text/people';

export const roles = [Role.OWNER, Role.ADMIN, Role.EDITOR, Role.VIEWER, Role.BILLING, Role.MEMBER] as const;
export type Known = (typeof roles)[number];
type Word = 'OWNER' | 'ADMIN' | 'EDITOR' | 'VIEWER' | 'BILLING' | 'MEMBER';

const word = (role: Role) => Role[role] as Word;
export const roleName = (role: Role) => (role === Role.UNSPECIFIED ? '' : t(`role_${word(role)}`));
/** What a role may, in a sentence. */
export const roleMay = (role: Role) => t(`may_${word(role)}`);

/** One role of those that there are, each with what it may. */
export function RoleField({ value, onChange, error, withOwner = true }: { value: Role; onChange: (role: Role) => void; error?: string | undefined; withOwner?: boolean }) {
  return (
    <Radio.Group label={t('role')} value={String(value)} onChange={(v) => onChange(Number(v))} error={error}>
      <Stack gap={10} mt={6}>
        {roles
          .filter((r) => withOwner || r !== Role.OWNER)
          .map((r) => (
            <Radio key={r} value={String(r)} label={roleName(r)} description={roleMay(r)} />
          ))}
      </Stack>
    </Radio.Group>
  );
}
