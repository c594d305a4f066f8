import { clientOf } from '@/api/client';
import { ConfigService } from '@/gen/tollgate/control/v1/config_pb';
import { only } from '@/pages/endpoints/list/yaml';

/** Objects of a kind as a file declares them, or one of them. */
export async function yamlOf(kind: string, list: string, name?: string): Promise<string> {
  const { text } = await clientOf(ConfigService).export({ kinds: [kind] });
  const file = new TextDecoder().decode(text);
  return name === undefined ? file : only(file, list, name);
}
