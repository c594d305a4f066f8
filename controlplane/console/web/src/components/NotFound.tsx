import { Anchor, Button } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { t } from '@/text/shell';
import { Page } from './Page';
import { Empty } from './Region';

/** No page, or no object, has this address. */
export function NotFound({ what, audit }: { what?: string; audit?: string }) {
  return (
    <Page title={what ?? t('notFoundTitle')}>
      <Empty
        title={what ?? t('notFoundTitle')}
        actions={
          <>
            <Button component={Link} to="/" variant="default">
              {t('goOverview')}
            </Button>
            {audit ? (
              <Anchor component={Link} to="/audit" search={{ q: audit } as never} size="sm">
                {t('seeAudit')}
              </Anchor>
            ) : null}
          </>
        }
      >
        {what ? t('objectNotFound') : t('notFound')}
      </Empty>
    </Page>
  );
}
