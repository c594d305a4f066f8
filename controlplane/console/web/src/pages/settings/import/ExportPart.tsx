import { Button, MultiSelect } from '@mantine/core';
import { IconDownload } from '@tabler/icons-react';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import { clientOf } from '@/api/client';
import { Section } from '@/components/Page';
import { Failure } from '@/components/Region';
import { ConfigService } from '@/gen/tollgate/control/v1/config_pb';
import { download } from '@/pages/access/keys/facts';
import { t } from '@/text/import';
import classes from '../Settings.module.css';

const route = getRouteApi('/settings/$section');
const kinds = ['endpoint', 'model', 'adapter', 'secret', 'team', 'key', 'budget', 'limit', 'customer', 'tag', 'model_price', 'settings'] as const;

/** The configuration as a file. */
export function ExportPart() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const go = async () => {
    setBusy(true);
    setError(undefined);
    try {
      const { text } = await clientOf(ConfigService).export({ kinds: search.kinds ?? [] });
      download('tollgate.yaml', new TextDecoder().decode(text), 'application/yaml');
    } catch (err) {
      setError(err);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Section title={t('export')}>
      <p className={classes.text}>{t('exportText')}</p>
      <div className={classes.row} style={{ alignItems: 'flex-end' }}>
        <MultiSelect
          w={{ base: '100%', xs: 420 }}
          label={t('kinds')}
          placeholder={search.kinds?.length ? undefined : t('allKinds')}
          data={kinds.map((k) => ({ value: k, label: t(`kind_${k}`) }))}
          value={search.kinds ?? []}
          clearable
          onChange={(v) => void navigate({ search: (s) => ({ ...s, kinds: v.length ? v : undefined }), replace: true })}
        />
        <Button size="sm" variant="default" loading={busy} leftSection={<IconDownload size={14} aria-hidden />} onClick={() => void go()}>
          {t('download')}
        </Button>
      </div>
      {error ? <Failure error={error} /> : null}
    </Section>
  );
}
