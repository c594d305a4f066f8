import { Group } from '@mantine/core';
import { useState } from 'react';
import { CopyText } from '@/components/CopyText';
import { t } from '@/text/try';
import { codeOf, type Language, languages, type Sample } from './code';
import classes from './Try.module.css';
import { ViewSwitch } from './TryResult';

/** The same request as a program. */
export function CodeView({ sample }: { sample: Sample }) {
  const [language, setLanguage] = useState<Language>('curl');
  const code = codeOf(language, sample);
  return (
    <>
      <Group justify="space-between" mb={8} gap={8}>
        <ViewSwitch label={t('language')} value={language} change={setLanguage} views={languages.map((l) => ({ value: l, label: t(`lang_${l}`) }))} />
        <Group gap={6}>
          {language === 'tollgate' ? null : <span className="dim">{t('keyFromEnv')}</span>}
          <CopyText value={code} label={t('copyCode')} iconOnly />
        </Group>
      </Group>
      <div className={classes.pane} tabIndex={0} role="region" aria-label={t('code')}>
        <pre className={classes.pre}>{code}</pre>
      </div>
    </>
  );
}
