import { getRouteApi } from '@tanstack/react-router';
import { Page, Section } from '@/components/Page';
import { AuditService } from '@/gen/tollgate/control/v1/audit_pb';
import { t } from '@/text/audit';
import { t as shell } from '@/text/shell';
import { AuditDetail } from './AuditDetail';

const route = getRouteApi('/audit/$id');

/** One entry as a page, for links. */
export function AuditEntryPage() {
  const { id } = route.useParams();
  return (
    <Page
      title={t('entry')}
      heading={<span className="mono" style={{ fontSize: 18 }}>{id}</span>}
      parent={{ to: '/audit', label: shell('audit') }}
      copy={{ cli: `tollgate audit get ${id}`, call: { method: AuditService.method.getAuditEntry, input: { entry: id } } }}
    >
      <Section title={t('entry')}>
        <AuditDetail id={id} />
      </Section>
    </Page>
  );
}
