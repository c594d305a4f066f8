import { save } from '@/api/saves';
import { list } from '@/lib/text';
import { took } from '@/lib/time';
import { t } from '@/text/shell';
import classes from './FleetPill.module.css';

/** What became of the last change: saved, published, in force. */
export function SaveChip() {
  const s = save.use();
  const text = !s
    ? ''
    : s.state === 'saving'
      ? t('saving')
      : s.state === 'saved'
        ? t('saved', { revision: String(s.revision) })
        : s.state === 'live'
          ? t('liveOnAll', { live: s.live, total: s.total, took: took(s.took) })
          : s.state === 'behind'
            ? t('behind', { live: s.live, total: s.total, names: list(s.missing.slice(0, 3)) })
            : t('liveOn', { live: s.live, total: s.total });
  return (
    <div role="status" aria-live="polite" data-testid="save-chip">
      {s ? (
        <span className={classes.save} data-tone={s.state === 'live' ? 'ok' : s.state === 'behind' ? 'warn' : undefined}>
          {text}
        </span>
      ) : null}
    </div>
  );
}
