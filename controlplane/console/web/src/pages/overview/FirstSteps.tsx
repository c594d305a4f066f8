import { Button } from '@mantine/core';
import { useMutation, useQuery } from '@connectrpc/connect-query';
import { Link } from '@tanstack/react-router';
import { refresh } from '@/api/client';
import { Section } from '@/components/Page';
import { Status } from '@/components/Status';
import { EndpointService } from '@/gen/tollgate/control/v1/endpoint_pb';
import { type FirstStep, FirstStepKind, OverviewService } from '@/gen/tollgate/control/v1/overview_pb';
import { t } from '@/text/overview';
import classes from './OverviewPage.module.css';

/** The steps that are still to be done, if any and if the caller wants to see them. */
export function useFirstSteps(): { show: boolean; steps: FirstStep[]; endpoint: string | undefined } {
  const { data } = useQuery(OverviewService.method.getFirstSteps, {}, { refetchInterval: (q) => (q.state.data?.steps.every((s) => s.done) ? false : 2000) });
  const steps = data?.steps ?? [];
  const wanted = steps.some((s) => !s.done) && !data!.dismissed;
  // A request is sent where it can be: on the page of an endpoint, if there is one. Links that lead elsewhere a moment later help nobody.
  const endpoints = useQuery(EndpointService.method.listEndpoints, { pageSize: 1 }, { enabled: wanted });
  return { show: wanted && !endpoints.isPending, steps, endpoint: endpoints.data?.endpoints[0]?.name };
}

const texts: Partial<Record<FirstStepKind, { what: string; why: string; to: string; search?: Record<string, unknown> }>> = {
  [FirstStepKind.ENDPOINT]: { what: t('stepEndpoint'), why: t('stepEndpointWhy'), to: '/endpoints/new' },
  [FirstStepKind.KEY]: { what: t('stepKey'), why: t('stepKeyWhy'), to: '/keys', search: { sel: 'new' } },
  [FirstStepKind.REQUEST]: { what: t('stepRequest'), why: t('stepRequestWhy'), to: '/endpoints' },
  [FirstStepKind.BUDGET]: { what: t('stepBudget'), why: t('stepBudgetWhy'), to: '/budgets', search: { sel: 'new' } },
};

/** Four steps to a working gateway, ticked by what is there. */
export function FirstSteps({ steps, endpoint }: { steps: FirstStep[]; endpoint: string | undefined }) {
  const dismiss = useMutation(OverviewService.method.dismissFirstSteps, { onSuccess: () => refresh(OverviewService) });
  return (
    <Section
      title={t('firstSteps')}
      actions={
        <Button variant="subtle" color="gray" size="compact-xs" loading={dismiss.isPending} onClick={() => dismiss.mutate({ dismissed: true })}>
          {t('hideSteps')}
        </Button>
      }
      flush
    >
      <div className={classes.rest} style={{ paddingTop: 0 }}>
        {t('firstStepsIntro')}
      </div>
      <ol className={classes.steps}>
        {steps.map((s) => {
          const text = texts[s.kind];
          if (!text) return null;
          return (
            <li key={s.kind} className={classes.step}>
              <Status tone={s.done ? 'ok' : 'off'}>{s.done ? t('done') : t('notDone')}</Status>
              <Link to={s.kind === FirstStepKind.REQUEST && endpoint ? `/endpoints/${encodeURIComponent(endpoint)}/try` : text.to} search={(text.search ?? {}) as never}>
                {text.what}
              </Link>
              <span className={classes.note}>{text.why}</span>
            </li>
          );
        })}
      </ol>
    </Section>
  );
}
