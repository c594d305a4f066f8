import { shareOf } from '@/lib/money';
import { percent } from '@/lib/text';
import { t } from '@/text/shell';
import classes from './BudgetBar.module.css';

/** What is spent, held and left of a budget, and where in its period today is. */
export function BudgetBar({ spent, held, limit, elapsed, thin, label }: { spent: bigint; held: bigint; limit: bigint; elapsed?: number | undefined; thin?: boolean; label?: string }) {
  const used = Math.min(shareOf(spent, limit), 1);
  const reserved = Math.min(shareOf(spent + held, limit), 1) - used;
  const tone = used >= 1 ? 'bad' : elapsed !== undefined && used > Math.max(elapsed, 0.05) * 1.15 && used > 0.5 ? 'warn' : 'ok';
  return (
    <div className={classes.bar} data-thin={thin || undefined} role="img" aria-label={label ?? t('budgetUsed', { share: percent(shareOf(spent, limit)) })}>
      <div className={classes.spent} data-tone={tone} style={{ width: `${used * 100}%` }} />
      <div className={classes.held} data-tone={tone} style={{ left: `${used * 100}%`, width: `${Math.max(reserved, 0) * 100}%` }} />
      {elapsed !== undefined && elapsed > 0 && elapsed < 1 ? <div className={classes.today} style={{ left: `${elapsed * 100}%` }} /> : null}
    </div>
  );
}
