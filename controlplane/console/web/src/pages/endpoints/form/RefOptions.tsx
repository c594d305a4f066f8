import { Combobox } from '@mantine/core';
import { Permission, useCaller } from '@/api/caller';
import { t } from '@/text/endpoint-form';
import { useSecrets, useVariables } from './useReferences';
import classes from './ValueField.module.css';

export type Picked = { kind: 'secret' | 'env'; name: string } | { kind: 'create'; name: string };

const most = 8;

/** What a value can refer to, as far as it has to do with what was typed. */
export function RefOptions({ search }: { search: string }) {
  const { may } = useCaller();
  const secrets = useSecrets();
  const variables = useVariables();
  const wanted = search.toLowerCase();
  const fits = (name: string) => name.toLowerCase().includes(wanted);
  const found = [...(secrets?.values() ?? [])].filter((s) => fits(s.name)).slice(0, most);
  const known = [...variables.values()].filter((v) => fits(v.name)).slice(0, most);
  const secret = search.toLowerCase().replace(/[^a-z0-9._-]/g, '-').replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, '');
  const offersNew = may(Permission.SECRETS_WRITE) && secrets && (!search || !secrets.has(secret));
  const offersEnv = /^[A-Za-z_][A-Za-z0-9_]*$/.test(search) && !variables.has(search);
  const option = (p: Picked, label: string, note?: string) => (
    <Combobox.Option key={p.kind + p.name} value={JSON.stringify(p)}>
      <span className={classes.option}>
        <span className="clip">{label}</span>
        {note ? <span className="dim">{note}</span> : null}
      </span>
    </Combobox.Option>
  );
  return (
    <Combobox.Options mah={320} style={{ overflowY: 'auto' }}>
      {found.length ? (
        <Combobox.Group label={t('secrets')}>
          {found.map((s) => option({ kind: 'secret', name: s.name }, s.name, s.endpoints.length ? t('usedBy', { n: s.endpoints.length }) : t('unused')))}
        </Combobox.Group>
      ) : null}
      {known.length || offersEnv ? (
        <Combobox.Group label={t('variables')}>
          {known.map((v) => option({ kind: 'env', name: v.name }, v.name, v.missing.length ? t('missingOnSome', { n: v.missing.length }) : undefined))}
          {offersEnv ? option({ kind: 'env', name: search }, t('variable', { name: search })) : null}
        </Combobox.Group>
      ) : null}
      {offersNew ? (
        <Combobox.Group label={t('new')}>{option({ kind: 'create', name: secret }, secret ? t('createNamed', { name: secret }) : t('createSecret'))}</Combobox.Group>
      ) : null}
      {!found.length && !known.length && !offersEnv && !offersNew ? <Combobox.Empty>{t('nothingToInsert')}</Combobox.Empty> : null}
    </Combobox.Options>
  );
}
