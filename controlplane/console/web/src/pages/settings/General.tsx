import { useQuery } from '@connectrpc/connect-query';
import { Region } from '@/components/Region';
import { SettingsService } from '@/gen/tollgate/control/v1/settings_pb';
import { GeneralForm } from './GeneralForm';

/** What holds for the whole deployment and is not a file of a process. */
export default function General() {
  const query = useQuery(SettingsService.method.getSettings, {});
  return <Region query={query}>{(d) => (d.settings ? <GeneralForm stored={d.settings} /> : null)}</Region>;
}
