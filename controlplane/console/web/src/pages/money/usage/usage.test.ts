import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { QueryUsageRequestSchema, UsageDimension, UsageRowSchema } from '@/gen/tollgate/control/v1/usage_pb';
import { dollar, money } from '@/lib/money';
import { autoBucket, cliOf, exportUrl, fold, toRequest, type View } from './ask';
import { change, changeText, headline, lengthText, nameOf } from './words';

const at = (text: string) => Date.parse(text);
const view = (more: Partial<View> = {}): View => ({
  range: { from: '-7d', to: 'now' },
  from: at('2026-11-16T08:30:00Z'),
  to: at('2026-11-23T08:30:00Z'),
  group: 'team',
  filters: {},
  timeZone: 'Europe/Berlin',
  ...more,
});
const params = (url: string) => new URL(url, 'http://x').searchParams;

describe('the question of the page', () => {
  it('is asked in whole hours, and stays the same while a range to now grows', () => {
    const r = create(QueryUsageRequestSchema, toRequest(view(), 'day', { compare: true }));
    expect(r.fromTime?.seconds).toBe(BigInt(at('2026-11-16T08:00:00Z') / 1000));
    expect(r.toTime).toBeUndefined();
    expect(r.groupBy).toEqual([UsageDimension.TEAM, UsageDimension.DAY]);
    expect([r.topN, r.compare, r.timeZone]).toEqual([8, true, 'Europe/Berlin']);
    const old = create(QueryUsageRequestSchema, toRequest(view({ range: { from: 'x', to: 'y' } }), 'hour'));
    expect(old.toTime?.seconds).toBe(BigInt(at('2026-11-23T09:00:00Z') / 1000));
    expect(old.groupBy).toEqual([UsageDimension.TEAM, UsageDimension.HOUR]);
    expect(create(QueryUsageRequestSchema, toRequest(view({ group: 'none' }), undefined))).toMatchObject({ groupBy: [], topN: 0 });
  });

  it('has the same filters as its file, and the file has every group', () => {
    const v = view({ filters: { team: ['search', 'ops'], status: ['!5xx', 'nonsense'], model: ['-'], customer: ['a,b'] } });
    const r = create(QueryUsageRequestSchema, toRequest(v, undefined));
    expect(r.filters.map((f) => [f.of, f.values, f.not])).toEqual([
      [UsageDimension.TEAM, ['search', 'ops'], false],
      [UsageDimension.CUSTOMER, ['a,b'], false],
      [UsageDimension.MODEL, [''], false],
      [UsageDimension.STATUS, ['5xx'], true],
    ]);
    const p = params(exportUrl(v, 'view'));
    expect(p.getAll('filter')).toEqual(['team=search,ops', 'customer="a,b"', 'model=', 'status!=5xx']);
    expect([p.get('from'), p.get('to'), p.get('group_by'), p.get('time_zone'), p.get('top_n')]).toEqual(['2026-11-16T08:00:00Z', null, 'team', 'Europe/Berlin', null]);
    expect(params(exportUrl(v, 'days')).get('group_by')).toBe('team,day');
    const requests = params(exportUrl({ ...v, range: { from: '2026-11-16', to: '2026-11-22' } }, 'requests'));
    expect([requests.get('group_by'), requests.get('time_zone'), requests.get('to')]).toEqual([null, null, '2026-11-23T09:00:00Z']);
  });

  it('is a command as well', () => {
    const quote = (s: string) => s;
    expect(cliOf(view({ filters: { endpoint: ['bria'] } }), quote)).toBe('tollgate usage --since 7d --group-by team --time-zone Europe/Berlin --endpoint bria');
    expect(cliOf(view({ range: { from: '2026-11-16', to: '2026-11-22' }, to: at('2026-11-23T00:00:00Z'), timeZone: 'UTC', group: 'status' }), quote)).toBe(
      'tollgate usage --from 2026-11-16 --to 2026-11-22 --group-by status_class',
    );
  });
});

describe('bars', () => {
  const days = (n: number) => n * 86_400_000;
  it('are hours, days, weeks or months, by how long the range is', () => {
    expect([autoBucket(0, days(1)), autoBucket(0, days(30)), autoBucket(0, days(200)), autoBucket(0, days(900))]).toEqual(['hour', 'day', 'week', 'month']);
  });

  it('of weeks begin on Monday, and nothing is lost in them', () => {
    const times = ['2026-11-28', '2026-11-29', '2026-11-30', '2026-12-01'].map((d) => at(`${d}T00:00:00Z`));
    const dayOf = (ms: number) => new Date(ms).toISOString().slice(0, 10);
    expect(fold(times, [[1, 2, 4, 8]], 'week', dayOf)).toEqual({ times: [times[0], times[2]], values: [[3, 12]] });
    expect(fold(times, [[1, 2, 4, 8]], 'month', dayOf)).toEqual({ times: [times[0], times[3]], values: [[7, 8]] });
    expect(fold(times, [[1, 2, 4, 8]], 'day', dayOf).values).toEqual([[1, 2, 4, 8]]);
  });
});

describe('the sentence', () => {
  const row = (init: MessageInitShape<typeof UsageRowSchema>) => create(UsageRowSchema, init);
  const week = 7 * 86_400_000;
  const total = row({ cost: money(1_204_360_000_000n), previousCost: money(1_020_000_000_000n), requests: 1n, previousRequests: 0n });
  const groups = [row({ endpointName: 'bria', cost: money(855n * dollar) }), row({ other: true, cost: money(349n * dollar) })];

  it('says how much, how much more than before, and who made most of it', () => {
    expect(headline(total, groups, 'endpoint', 'spend', week)).toBe('$1,204.36 in 7 days, 18 % more than in the 7 days before. bria made 71 % of it.');
    expect(headline(total, groups, 'none', 'spend', week)).toBe('$1,204.36 in 7 days, 18 % more than in the 7 days before.');
    expect(headline(total, [], 'team', 'requests', week)).toBe('1 request in 7 days, nothing in the 7 days before.');
    expect(headline(row({ cost: money(0n) }), [], 'team', 'spend', 3_600_000)).toBe('$0.00 in 1 hour.');
  });

  it('names the largest of what is shown, not of what it cost', () => {
    const rows = [row({ team: 'dear', cost: money(9n * dollar), requests: 1n }), row({ team: 'busy', cost: money(1n), requests: 99n })];
    expect(headline(row({ cost: money(9n * dollar + 1n), requests: 100n }), rows, 'team', 'requests', week)).toContain('busy made 99 % of it.');
  });

  it('tells changes and lengths', () => {
    expect([changeText(0.18), changeText(-0.042), changeText(0), changeText(11.2)]).toEqual(['+18 %', '−4.2 %', '±0 %', '×12']);
    expect(change(5n, 0n)).toBeUndefined();
    expect([lengthText(week), lengthText(86_400_000), lengthText(3 * 86_400_000)]).toEqual(['7 days', '24 hours', '3 days']);
    expect(nameOf(row({ statusClass: '0xx' }), 'status')).toBe('no answer');
    expect(nameOf(row({}), 'model')).toBe('unknown model');
  });
});
