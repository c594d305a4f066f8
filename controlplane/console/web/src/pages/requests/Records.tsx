import { Amount } from '@/components/Amount';
import { At } from '@/components/When';
import type { RequestRecord } from '@/gen/tollgate/control/v1/usage_pb';
import { took } from '@/lib/time';
import { t } from '@/text/requests';
import classes from './Detail.module.css';

/** What the ledger has booked of a request: each attempt, and each correction. */
export function Records({ records }: { records: RequestRecord[] }) {
  return (
    <div className={classes.scroll} tabIndex={0} role="region" aria-label={t('records')}>
      <table className={classes.records}>
        <thead>
          <tr>
            <th>{t('request')}</th>
            <th>{t('time')}</th>
            <th>{t('status')}</th>
            <th>{t('outcome')}</th>
            <th>{t('duration')}</th>
            <th>{t('cost')}</th>
          </tr>
        </thead>
        <tbody>
          {records.map((r) => (
            <tr key={r.position}>
              <td>{r.corrects ? t('correctionOf') : t('attempt', { n: r.attempt })}</td>
              <td>
                <At at={r.time} />
              </td>
              <td>{r.status || t('noAnswer')}</td>
              <td>
                {r.outcome}
                {r.unpriced ? ` · ${t('flag_unpriced')}` : ''}
              </td>
              <td className="num">{took(Number(r.durationUs) / 1000)}</td>
              <td className="num">
                <Amount value={r.cost} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
