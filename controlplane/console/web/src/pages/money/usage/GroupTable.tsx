import { Anchor, Button, Table, Tooltip, UnstyledButton } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import type { MouseEvent } from 'react';
import { Spark } from '@/components/Spark';
import type { UsageRow } from '@/gen/tollgate/control/v1/usage_pb';
import { count, percent } from '@/lib/text';
import { type Group, groupId, type Metric } from '@/lib/usage';
import { t } from '@/text/usage';
import { without } from './ask';
import classes from './Usage.module.css';
import { amountBefore, amountOf, change, changeText, nameOf, tell, tellExact } from './words';

export interface Shown {
  id: string;
  row: UsageRow;
  color: string | undefined;
  values: number[] | undefined;
}

/** How a group stands in an address. */
export const idOf = (row: UsageRow, by: Group) => groupId(row, by) || without;

interface Props {
  groups: Shown[];
  total: UsageRow | undefined;
  by: Group;
  metric: Metric;
  compare: boolean;
  only: string[];
  onOnly: (only: string[]) => void;
  more: boolean;
  all: boolean;
  onAll: (all: boolean) => void;
}

/** The groups with their figures: the legend of the chart, and what it is made of. */
export function GroupTable({ groups, total, by, metric, compare, only, onOnly, more, all, onAll }: Props) {
  const sum = amountOf(total, metric);
  const rows = metric === 'spend' ? groups : groups.toSorted((a, b) => (a.row.other ? 1 : b.row.other ? -1 : amountOf(a.row, metric) < amountOf(b.row, metric) ? 1 : -1));
  const isolate = (e: MouseEvent, id: string) => {
    if (e.shiftKey) {
      e.preventDefault();
      getSelection()?.removeAllRanges();
      onOnly(only.includes(id) ? only.filter((x) => x !== id) : [...only, id]);
    } else onOnly(only.length === 1 && only[0] === id ? [] : [id]);
  };
  return (
    <>
      <Table.ScrollContainer minWidth={compare ? 620 : 520} scrollAreaProps={{ tabIndex: 0, role: 'region', 'aria-label': t('tableLabel') } as never}>
        <Table verticalSpacing={8} horizontalSpacing="md" aria-label={t('tableLabel')}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{by === 'none' ? t('name') : t(`by_${by}`)}</Table.Th>
              <Table.Th className="num">{t('total')}</Table.Th>
              <Table.Th w="24%">{t('share')}</Table.Th>
              {compare ? <Table.Th className="num">{t('change')}</Table.Th> : null}
              {metric === 'spend' ? <Table.Th className="num">{t('metric_requests')}</Table.Th> : null}
              <Table.Th>{t('trend')}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {rows.map(({ id, row, color, values }) => {
              const n = amountOf(row, metric);
              const share = sum > 0n ? Number((n * 1_000_000n) / sum) / 1e6 : 0;
              const name = nameOf(row, by);
              const off = only.length > 0 && !only.includes(id);
              return (
                <Table.Tr key={id} className={classes.row} data-off={off || undefined} onClick={(e) => !(e.target as HTMLElement).closest('a,button') && isolate(e, id)}>
                  <Table.Td>
                    <UnstyledButton className={classes.name} aria-pressed={only.includes(id)} aria-label={t('isolate', { name })} onClick={(e) => isolate(e, id)}>
                      <i style={{ background: color ?? 'var(--t-line)' }} />
                      <span className={row.other || id === without ? 'dim' : undefined}>{name}</span>
                    </UnstyledButton>
                    {by === 'model' && id === without ? (
                      <Anchor component={Link} to="/endpoints" size="xs">
                        {t('setModel')}
                      </Anchor>
                    ) : null}
                  </Table.Td>
                  <Table.Td className="num">
                    <Figure n={n} metric={metric} />
                  </Table.Td>
                  <Table.Td className={classes.shareCell}>
                    <span className={classes.share} style={{ width: `${share * 55}%`, background: color ?? 'var(--t-7)' }} aria-hidden />
                    <span className="dim">{percent(share)}</span>
                  </Table.Td>
                  {compare ? (
                    <Table.Td className="num">
                      <Change row={row} metric={metric} />
                    </Table.Td>
                  ) : null}
                  {metric === 'spend' ? <Table.Td className="num dim">{count(row.requests)}</Table.Td> : null}
                  <Table.Td>{values ? <Spark values={values} color={color ?? 'var(--t-7)'} /> : null}</Table.Td>
                </Table.Tr>
              );
            })}
          </Table.Tbody>
          {rows.length > 1 || by === 'tag' ? (
            <Table.Tfoot>
              <Table.Tr className={classes.total}>
                <Table.Td>{t('all')}</Table.Td>
                <Table.Td className="num">
                  <Figure n={sum} metric={metric} />
                </Table.Td>
                <Table.Td />
                {compare ? (
                  <Table.Td className="num">
                    <Change row={total} metric={metric} />
                  </Table.Td>
                ) : null}
                {metric === 'spend' ? <Table.Td className="num">{count(total?.requests ?? 0n)}</Table.Td> : null}
                <Table.Td />
              </Table.Tr>
            </Table.Tfoot>
          ) : null}
        </Table>
      </Table.ScrollContainer>
      {more || all || only.length || by === 'tag' || by === 'edge' ? (
        <div className={classes.foot}>
          <span>{by === 'tag' ? t('tagNote') : by === 'edge' ? t('edgeNote') : ''}</span>
          <span>
            {only.length ? (
              <Button variant="subtle" size="compact-xs" onClick={() => onOnly([])}>
                {t('showAllSeries')}
              </Button>
            ) : null}
            {more || all ? (
              <Button variant="subtle" size="compact-xs" onClick={() => onAll(!all)}>
                {all ? t('showTopGroups') : t('showAllGroups')}
              </Button>
            ) : null}
          </span>
        </div>
      ) : null}
    </>
  );
}

function Figure({ n, metric }: { n: bigint; metric: Metric }) {
  const shown = tell(n, metric);
  const all = tellExact(n, metric);
  return shown === all ? shown : <Tooltip label={all}><span>{shown}</span></Tooltip>;
}

function Change({ row, metric }: { row: UsageRow | undefined; metric: Metric }) {
  const before = amountBefore(row, metric);
  if (before === undefined) return <span className="dim">–</span>;
  const now = amountOf(row, metric);
  const share = change(now, before);
  if (share === undefined) return <span className="dim">{now > 0n ? t('newNow') : '–'}</span>;
  return (
    <Tooltip label={tellExact(before, metric)}>
      <span>{changeText(share)}</span>
    </Tooltip>
  );
}
