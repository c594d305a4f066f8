import { Tooltip } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { memo } from 'react';
import { Amount } from '@/components/Amount';
import { BudgetBar } from '@/components/BudgetBar';
import type { Budget, BudgetState } from '@/gen/tollgate/control/v1/budget_pb';
import { exact, nanos, shareOf, short } from '@/lib/money';
import { percent } from '@/lib/text';
import { millis } from '@/lib/time';
import { t } from '@/text/money';
import classes from './Budgets.module.css';
import { about, elapsed, limitOf, periodText, resets, resetText, scopeOf, soft, untilText, zoneOf } from './facts';
import type { Fate } from './fate';
import { Raise } from './Raise';

const signs = { ok: '●', warn: '▲', bad: '■', off: '○', info: '◆' } as const;
const states = { ok: t('ok'), warn: t('atRisk'), bad: t('used'), off: t('unknown'), info: t('unknown') } as const;

/** The rule of a budget: hard or soft, and when it starts anew. */
export function ruleText(b: Budget, state: BudgetState | undefined): string {
  const end = millis(state?.periodEnd);
  const kind = soft(b) ? t('soft') : t('hard');
  if (resets(b)) return end === undefined ? `${kind} · ${periodText(b.period, 0)}` : `${kind} · ${t('resetsAt', { at: resetText(end, zoneOf(b)) })}`;
  return `${kind} · ${b.rollingDays ? t('rolls', { n: b.rollingDays }) : t('neverResets')}`;
}

interface Props {
  budget: Budget;
  state: BudgetState | undefined;
  fate: Fate;
  now: number;
  mayRaise: boolean;
  onOpen: (b: Budget) => void;
}

/** A budget in the list: what it is on, what is spent of it, and what will become of it. */
export const BudgetRow = memo(function BudgetRow({ budget: b, state, fate, now, mayRaise, onOpen }: Props) {
  const scope = scopeOf(b);
  const limit = limitOf(b, state);
  const spent = nanos(state?.spent);
  const held = nanos(state?.held);
  const rule = ruleText(b, state);
  const what = scope.kind === 'everything' ? t('scope_everything') : `${t(`scope_${scope.kind}`)} ${scope.name}`;
  const name = [what, b.name, states[fate.tone], state ? `${short(spent)} ${t('ofLimit', { limit: exact(limit) })}` : exact(limit), fate.text, rule].join(', ');
  return (
    <div
      role="row"
      aria-label={name}
      tabIndex={0}
      className={classes.row}
      data-row={b.id}
      onClick={(e) => {
        if (!(e.target as HTMLElement).closest('a,button,input,label,form,[role=dialog]') && e.currentTarget.contains(e.target as Node) && !getSelection()?.toString()) onOpen(b);
      }}
      onKeyDown={(e) => {
        if (e.target !== e.currentTarget) return;
        if (e.key === 'Enter') onOpen(b);
      }}
    >
      <div role="cell" className={classes.what}>
        <span aria-hidden className={classes.sign} data-tone={fate.tone}>
          {signs[fate.tone]}
        </span>
        <span className={classes.names}>
          <Link to="/budgets/$id" params={{ id: b.id } as never}>
            {scope.kind === 'everything' ? t('scope_everything') : <><span className="dim">{t(`scope_${scope.kind}`)}</span> {scope.name}</>}
          </Link>
          <span className={classes.sub}>{b.name}</span>
        </span>
      </div>
      <div role="cell" className={classes.spent}>
        {state ? (
          <>
            <b><Amount value={spent} /></b> <span className="dim">{t('ofLimit', { limit: about(limit) })}</span>
            {held > 0n ? (
              <Tooltip label={t('heldHint')} multiline maw={280}>
                <div className={classes.sub}>{t('held', { amount: about(held) })}</div>
              </Tooltip>
            ) : null}
          </>
        ) : (
          <span className="dim">{t('ofLimit', { limit: about(limit) })}</span>
        )}
      </div>
      <div role="cell" className={classes.bar}>
        <BudgetBar spent={spent} held={held} limit={limit} elapsed={elapsed(b, state, now)} label={t('barLabel', { share: percent(shareOf(spent, limit)), left: short(limit > spent ? limit - spent : 0n) })} />
      </div>
      <div role="cell" className={classes.rule}>
        <span className={classes.sub}>{rule}</span>
        {b.raise ? <div className={classes.sub}>{t('raisedBy', { amount: `+${about(nanos(b.raise.by))}`, end: resets(b) ? untilText(b, state) : resetText(millis(b.raise.until) ?? 0, zoneOf(b)) })}</div> : null}
      </div>
      <div role="cell" className={classes.fate} data-tone={fate.tone}>
        {fate.text}
      </div>
      <div role="cell" className={classes.raiseCell}>{mayRaise ? <Raise budget={b} state={state} /> : null}</div>
    </div>
  );
});
