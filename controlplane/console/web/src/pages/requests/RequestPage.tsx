import { getRouteApi } from '@tanstack/react-router';
import { Page } from '@/components/Page';
import { RequestService } from '@/gen/tollgate/control/v1/request_pb';
import { t } from '@/text/requests';
import { t as shell } from '@/text/shell';
import { RequestDetail } from './RequestDetail';

const route = getRouteApi('/requests/$id');

/** One request, at an address that can be sent to somebody. */
export function RequestPage() {
  const { id } = route.useParams();
  return (
    <Page
      title={id}
      heading={<span className="mono">{id}</span>}
      parent={{ to: '/requests', label: shell('requests') }}
      copy={{ cli: `tollgate request get ${id}`, call: { method: RequestService.method.getRequest, input: { requestId: id } } }}
    >
      <div className="card" style={{ padding: 16 }}>
        <h2 className="visually-hidden">{t('request')}</h2>
        <RequestDetail id={id} page />
      </div>
    </Page>
  );
}
