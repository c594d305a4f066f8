import { PasswordInput } from '@mantine/core';
import { t } from '@/text/account';

export const shortest = 12;

/** What is told of a password while it is typed: in words, and never more than its length and variety say. */
export function strength(password: string): 'short' | 'fair' | 'strong' {
  const length = [...password].length;
  if (length < shortest) return 'short';
  return length >= 20 || new Set(password).size >= 14 ? 'strong' : 'fair';
}

export function NewPassword({ value, onChange, label, error }: { value: string; onChange: (value: string) => void; label?: string; error?: string | undefined }) {
  const length = [...value].length;
  const told = !value
    ? t('passwordHint')
    : strength(value) === 'short'
      ? t('passwordShort', { n: shortest - length })
      : strength(value) === 'fair'
        ? t('passwordFair')
        : t('passwordStrong');
  return (
    <PasswordInput
      label={label ?? t('newPassword')}
      description={told}
      inputWrapperOrder={['label', 'input', 'description', 'error']}
      name="new-password"
      autoComplete="new-password"
      required
      withAsterisk={false}
      value={value}
      error={error}
      onChange={(e) => onChange(e.currentTarget.value)}
    />
  );
}
