import { Button, Code } from '@mantine/core';
import { t } from '@/text/shell';
import { Page } from '@/components/Page';
import { Empty, Failure } from '@/components/Region';
import { ConnectError } from '@connectrpc/connect';

const reloaded = 'tollgate-reloaded';

// A page of a version that is no longer served is loaded anew, once.
function outdated(error: unknown): boolean {
  return error instanceof TypeError && /module script|dynamically imported|Importing/i.test(error.message);
}

/** What is shown in place of a page that failed. */
export function Broken({ error, reset }: { error: unknown; reset: () => void }) {
  if (outdated(error) && !sessionStorage.getItem(reloaded)) {
    sessionStorage.setItem(reloaded, '1');
    location.reload();
    return null;
  }
  if (error instanceof ConnectError) {
    return (
      <Page title={t('broken')}>
        <Failure error={error} retry={reset} />
      </Page>
    );
  }
  return (
    <Page title={t('broken')}>
      <Empty title={outdated(error) ? t('updated') : t('broken')} actions={<Button onClick={() => location.reload()}>{t('reload')}</Button>}>
        {t('brokenWhy')}
      </Empty>
      <Code block>{error instanceof Error ? `${error.message}\n${error.stack ?? ''}` : String(error)}</Code>
    </Page>
  );
}
