import { Button, Group } from '@mantine/core';
import { type Timestamp, timestampDate } from '@bufbuild/protobuf/wkt';
import { useOnline } from '@/app/Offline';
import type { Key } from '@/gen/tollgate/control/v1/key_pb';
import { t } from '@/text/access';
import classes from '../Access.module.css';
import type { Figures } from '../useFigures';
import { useMayKeys } from '../useMay';
import { alive, csv, download } from './facts';
import type { Doing } from './RowMenu';

/** What can be done to all keys that are selected. */
export function BulkBar({ keys, figures, begin, onClear }: { keys: Key[]; figures: Figures; begin: (doing: Doing) => void; onClear: () => void }) {
  const may = useMayKeys();
  const online = useOnline();
  if (!keys.length) return null;
  const usable = keys.filter(alive);
  const can = usable.length > 0 && usable.every((k) => may.of(k.team));
  const button = (kind: Doing['kind'], danger = false) => (
    <Button variant="default" className={danger ? 'bad' : undefined} disabled={!can || !online} onClick={() => begin({ kind, keys: usable })}>
      {t(`do_${kind}`)}
    </Button>
  );
  return (
    <Group gap="xs" className={classes.bulk} role="toolbar" aria-label={t('selected', { n: keys.length })}>
      <b>{t('selected', { n: keys.length })}</b>
      {button('extend')}
      {button('move')}
      <Button variant="default" onClick={() => exportKeys(keys, figures)}>
        {t('exportCsv')}
      </Button>
      {button('revoke', true)}
      <Button variant="subtle" onClick={onClear}>
        {t('clearSelection')}
      </Button>
    </Group>
  );
}

/** Keys as a file, without any secret. */
function exportKeys(keys: Key[], figures: Figures): void {
  const iso = (at: Timestamp | undefined) => (at ? timestampDate(at).toISOString() : '');
  const header = ['id', 'name', 'secret_ends_with', 'team', 'customer', 'endpoints', 'models', 'tags', 'blocked', 'created', 'expires', 'revoked', 'requests_24h', 'last_used'];
  const rows = keys.map((k) => {
    const used = figures.of(k.id);
    return [
      k.id,
      k.name,
      k.suffix,
      k.team,
      k.customer,
      k.restricted ? k.endpoints.join(' ') : '*',
      k.models.join(' ') || '*',
      k.tags.join(' '),
      k.blocked ? 'yes' : 'no',
      iso(k.createTime),
      iso(k.expireTime),
      iso(k.revokeTime),
      used ? String(used.requests) : '',
      used?.last === undefined ? '' : new Date(used.last).toISOString(),
    ];
  });
  download(`keys-${new Date().toISOString().slice(0, 10)}.csv`, csv(header, rows), 'text/csv');
}
