import { Button, UnstyledButton } from '@mantine/core';
import { useQuery } from '@connectrpc/connect-query';
import { IconPlus, IconRoute } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { Empty } from '@/components/Region';
import { TemplateService } from '@/gen/tollgate/control/v1/template_pb';
import { t } from '@/text/endpoints';
import classes from '../EndpointsPage.module.css';

const first = ['bria', 'mistral', 'cohere', 'langfuse'];

/** What to begin with where there is nothing yet. */
export function NoEndpoints({ mayCreate }: { mayCreate: boolean }) {
  const { data } = useQuery(TemplateService.method.listTemplates, {}, { enabled: mayCreate, staleTime: Infinity });
  const [all, setAll] = useState(false);
  const templates = (data?.templates ?? []).filter((p) => p.name !== 'blank');
  const shown = all ? templates : first.flatMap((n) => templates.find((p) => p.name === n) ?? []);
  return (
    <>
      <Empty
        title={t('emptyTitle')}
        icon={<IconRoute size={32} />}
        cli="tollgate endpoint create bria --path /bria --target https://engine.prod.bria-api.com --price 12"
        actions={
          mayCreate ? (
            <>
              <Button component={Link} to="/endpoints/new" leftSection={<IconPlus size={14} aria-hidden />}>
                {t('newEndpoint')}
              </Button>
              <Button component={Link} to="/settings/$section" params={{ section: 'import' } as never} variant="default">
                {t('importConfig')}
              </Button>
              <Button component={Link} to="/endpoints/new" search={{ curl: '1' } as never} variant="default">
                {t('pasteCurl')}
              </Button>
            </>
          ) : null
        }
      >
        {t('emptyText')}
      </Empty>
      {shown.length ? (
        <section className={classes.templates} aria-label={t('templates')}>
          <h2 className={classes.templatesTitle}>{t('templates')}</h2>
          <div className={classes.cards}>
            {shown.map((p) => (
              <UnstyledButton key={p.name} component={Link} to="/endpoints/new" search={{ template: p.name } as never} className={`card ${classes.template}`}>
                <b>{p.title}</b>
                <span className="dim">{p.summary}</span>
              </UnstyledButton>
            ))}
            <UnstyledButton component={Link} to="/endpoints/new" className={`card ${classes.template}`}>
              <b>{t('blank')}</b>
              <span className="dim">{t('blankText')}</span>
            </UnstyledButton>
          </div>
          {!all && templates.length > shown.length ? (
            <Button variant="subtle" onClick={() => setAll(true)}>
              {t('templatesAll', { n: templates.length })}
            </Button>
          ) : null}
        </section>
      ) : null}
    </>
  );
}
