import { useQuery } from '@connectrpc/connect-query';
import { Anchor, Button, Group, Modal, Stack, Text, TextInput, UnstyledButton } from '@mantine/core';
import { IconFilePlus } from '@tabler/icons-react';
import { useState } from 'react';
import { Region } from '@/components/Region';
import { type Template, TemplateService } from '@/gen/tollgate/control/v1/template_pb';
import { t as shell } from '@/text/shell';
import { t } from '@/text/endpoint-form';
import { firstOf } from './handover';
import type { Imported } from './PasteCurl';
import { blank } from './model';
import { filled, missing } from './template';
import classes from './Templates.module.css';

/** Ready endpoints of vendors' APIs, and what has to be said of the one that is chosen. */
export function Templates({ name, onPick, onImport, onClose }: { name: string; onPick: (name: string) => void; onImport: (i: Imported & { notes: string[] }) => void; onClose: () => void }) {
  return (
    <Modal opened onClose={onClose} size="lg" title={<Text fw={600} component="span">{t('templates')}</Text>} closeButtonProps={{ 'aria-label': shell('close') }}>
      {name && name !== 'pick' ? <One name={name} onBack={() => onPick('pick')} onImport={onImport} /> : <All onPick={onPick} onBlank={() => onImport({ endpoint: blank(), first: undefined, ignored: [], notes: [] })} />}
    </Modal>
  );
}

function All({ onPick, onBlank }: { onPick: (name: string) => void; onBlank: () => void }) {
  const query = useQuery(TemplateService.method.listTemplates, {}, { staleTime: Infinity });
  const [search, setSearch] = useState('');
  return (
    <Stack gap="sm">
      <TextInput aria-label={t('findTemplate')} placeholder={t('findTemplate')} value={search} onChange={(e) => setSearch(e.currentTarget.value)} data-autofocus />
      <Region query={query} skeleton={8}>
        {(data) => {
          const wanted = search.trim().toLowerCase();
          const list = data.templates.filter((x) => x.name !== 'blank' && `${x.title} ${x.summary}`.toLowerCase().includes(wanted));
          return (
            <ul className={classes.list}>
              {list.map((x) => (
                <li key={x.name}>
                  <UnstyledButton className={classes.card} onClick={() => onPick(x.name)}>
                    <span className={classes.title}>{x.title}</span>
                    <span className={`dim ${classes.summary}`}>{x.summary}</span>
                  </UnstyledButton>
                </li>
              ))}
              <li>
                <UnstyledButton className={classes.card} onClick={onBlank}>
                  <span className={classes.title}>
                    <IconFilePlus size={15} aria-hidden /> {t('blank')}
                  </span>
                  <span className={`dim ${classes.summary}`}>{t('blankSummary')}</span>
                </UnstyledButton>
              </li>
            </ul>
          );
        }}
      </Region>
    </Stack>
  );
}

function One({ name, onBack, onImport }: { name: string; onBack: () => void; onImport: (i: Imported & { notes: string[] }) => void }) {
  const query = useQuery(TemplateService.method.getTemplate, { name }, { staleTime: Infinity });
  return (
    <Region query={query} skeleton={5}>
      {(data) => (data.template ? <Parameters template={data.template} onBack={onBack} onImport={onImport} /> : null)}
    </Region>
  );
}

function Parameters({ template, onBack, onImport }: { template: Template; onBack: () => void; onImport: (i: Imported & { notes: string[] }) => void }) {
  const [values, setValues] = useState<Record<string, string>>(() => Object.fromEntries(template.parameters.map((p) => [p.name, p.default])));
  const [asked, setAsked] = useState(false);
  const open = missing(template, values);
  const go = () => {
    setAsked(true);
    const endpoint = open.length ? undefined : filled(template, values);
    if (endpoint) onImport({ endpoint, first: firstOf(template.sample), ignored: [], notes: template.notes });
  };
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        go();
      }}
    >
      <Stack gap="sm">
        <div>
          <Text fw={600}>{template.title}</Text>
          <Text size="sm" className="dim">{template.summary}</Text>
        </div>
        {template.parameters.map((p, i) => (
          <TextInput
            key={p.name}
            label={p.summary}
            value={values[p.name] ?? ''}
            onChange={(e) => {
              const text = e.currentTarget.value;
              setValues((now) => ({ ...now, [p.name]: text }));
            }}
            error={asked && open.includes(p.name) ? t('parameterRequired') : undefined}
            required={!p.default}
            data-autofocus={i === 0 ? true : undefined}
            autoComplete="off"
          />
        ))}
        {template.secrets.length ? (
          <div>
            <Text size="xs" fw={600}>{t('templateSecrets')}</Text>
            <ul className={classes.notes}>
              {template.secrets.map((s) => (
                <li key={s.name}>
                  <span className="mono">{s.name}</span> {s.summary}
                </li>
              ))}
            </ul>
          </div>
        ) : null}
        {template.notes.length ? (
          <div>
            <Text size="xs" fw={600}>{t('templateNotes')}</Text>
            <ul className={classes.notes}>
              {template.notes.map((n) => <li key={n}>{n}</li>)}
            </ul>
          </div>
        ) : null}
        {template.links.map((l) => (
          <Anchor key={l} href={l} target="_blank" rel="noreferrer" size="xs">{l}</Anchor>
        ))}
        <Group justify="space-between" gap="xs">
          <Button variant="subtle" color="gray" onClick={onBack}>{t('otherTemplate')}</Button>
          <Button type="submit" data-autofocus={template.parameters.length ? undefined : true}>{t('fillForm')}</Button>
        </Group>
      </Stack>
    </form>
  );
}
