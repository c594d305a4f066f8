import { Alert, Anchor, Checkbox, Radio, Stack, TagsInput, Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { MoneyInput } from '@/components/MoneyInput';
import { t } from '@/text/money';
import classes from './Budgets.module.css';
import type { Warning } from './warnings';

/** What happens when a budget is reached, in words that say what is promised. */
export function ReachedField({ soft, onChange, overdraft, onOverdraft, error }: { soft: boolean; onChange: (soft: boolean) => void; overdraft: bigint | undefined; onOverdraft: (n: bigint | undefined) => void; error?: string | undefined }) {
  return (
    <Radio.Group label={t('reached')} value={soft ? 'soft' : 'hard'} onChange={(v) => onChange(v === 'soft')}>
      <div className={classes.choice}>
        <div className={classes.choiceItem} data-on={!soft || undefined}>
          <Radio value="hard" label={t('hardTitle')} description={t('hardWhy')} />
        </div>
        <div className={classes.choiceItem} data-on={soft || undefined}>
          <Radio value="soft" label={t('softTitle')} description={t('softWhy')} />
          {soft ? <MoneyInput mt="sm" label={t('overdraft')} description={t('overdraftHint')} value={overdraft} onChange={onOverdraft} error={error} /> : null}
        </div>
      </div>
    </Radio.Group>
  );
}

/** Shares of a budget at which it warns. */
export function WarnField({ value, onChange, error }: { value: number[]; onChange: (percents: number[]) => void; error?: string | undefined }) {
  return (
    <TagsInput
      label={t('warnAt')}
      description={
        <>
          {t('warnAtHint')}{' '}
          <Anchor component={Link} to="/settings/$section" params={{ section: 'alerts' } as never} size="xs">
            {t('alertTargets')}
          </Anchor>
        </>
      }
      placeholder={value.length ? '' : t('warnAtPlaceholder')}
      value={value.map((n) => `${n} %`)}
      onChange={(all) => {
        const numbers = all.map((v) => Number(v.replace(/[%\s]/g, ''))).filter((n) => Number.isInteger(n) && n >= 1 && n <= 1000);
        onChange([...new Set(numbers)].toSorted((a, b) => a - b));
      }}
      maxTags={8}
      acceptValueOnBlur
      error={error}
    />
  );
}

/** What an amount would do, and a tick for what is only saved by who means it. */
export function Warnings({ warnings, agreed, onAgree }: { warnings: Warning[]; agreed: boolean; onAgree: (on: boolean) => void }) {
  if (!warnings.length) return null;
  return (
    <Alert color="yellow" variant="light" title={t('warnings')} role="status">
      <Stack gap={6}>
        {warnings.map((w) => (
          <Text size="sm" key={w.code} data-code={w.code}>{w.text}</Text>
        ))}
        {warnings.some((w) => w.confirm) ? <Checkbox label={t('anyway')} checked={agreed} onChange={(e) => onAgree(e.currentTarget.checked)} /> : null}
      </Stack>
    </Alert>
  );
}
