import { useQuery } from '@connectrpc/connect-query';
import { getRouteApi } from '@tanstack/react-router';
import { Permission, useCaller } from '@/api/caller';
import { Page } from '@/components/Page';
import { RangePicker } from '@/components/RangePicker';
import { OverviewService } from '@/gen/tollgate/control/v1/overview_pb';
import { t } from '@/text/overview';
import { Attention } from './Attention';
import { Changes } from './Changes';
import { FirstSteps, useFirstSteps } from './FirstSteps';
import classes from './OverviewPage.module.css';
import { SpendByDay } from './SpendByDay';
import { Tiles } from './Tiles';
import { TopKeys } from './TopKeys';

const route = getRouteApi('/');

/** Are we up, what are we spending, and what needs somebody: in five seconds. */
export function OverviewPage() {
  const { from = '-14d', to = 'now', group = 'endpoint' } = route.useSearch();
  const navigate = route.useNavigate();
  const { may, teams } = useCaller();
  const steps = useFirstSteps();
  const money = may(Permission.MONEY_READ) || teams.length > 0;
  const overview = useQuery(OverviewService.method.getOverview, {}, { refetchInterval: 5000, enabled: money });
  const range = { from, to };
  return (
    <Page
      title={t('title')}
      copy={{ cli: 'tollgate status', call: { method: OverviewService.method.getOverview, input: {} } }}
      actions={money ? <RangePicker value={range} onChange={(r) => void navigate({ search: (s) => ({ ...s, ...r }) })} /> : null}
    >
      {steps.show ? <FirstSteps steps={steps.steps} endpoint={steps.endpoint} /> : null}
      {money ? <Tiles query={overview} /> : null}
      <div className={classes.two}>
        <Attention />
        {money ? <SpendByDay range={range} group={group} onGroup={(g) => void navigate({ search: (s) => ({ ...s, group: g }), replace: true })} /> : null}
      </div>
      <div className={classes.two}>
        {money ? <TopKeys range={range} /> : null}
        {may(Permission.AUDIT_READ) ? <Changes /> : null}
      </div>
    </Page>
  );
}
