import { Collapse, UnstyledButton } from '@mantine/core';
import { IconChevronRight } from '@tabler/icons-react';
import { type ReactNode, useId } from 'react';
import { list } from '@/lib/text';
import { t } from '@/text/endpoint-form';
import { useForm } from '../context';
import fields from '../Field.module.css';
import classes from './Advanced.module.css';
import { Credentials } from './Credentials';
import { Failures } from './Failures';
import { Forwarding } from './Forwarding';
import { Limits } from './Limits';
import { About, ServesModels, Signing } from './Special';
import { differences } from './summary';
import { Targets } from './Targets';

/** Everything else. While it is closed it says what is not as it would be. */
export function Advanced({ open, onToggle }: { open: boolean; onToggle: () => void }) {
  const { draft } = useForm();
  const id = useId();
  const differs = differences(draft);
  return (
    <section className={`card ${classes.card}`}>
      <h2 className={classes.heading}>
        <UnstyledButton className={classes.toggle} onClick={onToggle} aria-expanded={open} aria-controls={id}>
          <IconChevronRight size={16} aria-hidden className={classes.chevron} data-open={open || undefined} />
          <span>{t('advanced')}</span>
          <span className={`dim ${classes.summary}`}>{differs.length ? list(differs) : t('allDefaults')}</span>
        </UnstyledButton>
      </h2>
      <Collapse expanded={open} id={id}>
        {open ? (
          <div className={classes.body}>
            <Group title={t('groupAbout')}><About /></Group>
            <Group title={t('groupForwarding')}><Forwarding /></Group>
            <Group title={t('groupLimits')}><Limits /></Group>
            {draft.models ? null : <Group title={t('groupTargets')}><Targets /></Group>}
            <Group title={t('groupFailures')}><Failures /></Group>
            <Group title={t('groupCredentials')} hint={t('groupCredentialsHint')}><Credentials /></Group>
            <Group title={t('groupSpecial')}>
              <Signing />
              <ServesModels />
            </Group>
          </div>
        ) : null}
      </Collapse>
    </section>
  );
}

function Group({ title, hint, children }: { title: string; hint?: string; children: ReactNode }) {
  return (
    <div className={fields.group}>
      <h3 className={fields.groupTitle}>{title}</h3>
      {hint ? <div className="dim" style={{ fontSize: 12, paddingBottom: 4 }}>{hint}</div> : null}
      {children}
    </div>
  );
}
