import { ActionIcon, Menu, Tooltip } from '@mantine/core';
import { useClipboard } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import { type DescMethod, type MessageInitShape, create, toJsonString } from '@bufbuild/protobuf';
import { IconBraces, IconCopy, IconLink, IconTerminal2, IconFileText } from '@tabler/icons-react';
import { basePath } from '@/boot';
import { registry } from '@/api/registry';
import { t } from '@/text/shell';

export interface Call<M extends DescMethod = DescMethod> {
  method: M;
  input: MessageInitShape<M['input']>;
}

export interface CopyAsProps {
  /** The command that does or shows the same. Every page has one. */
  cli: string;
  yaml?: string | (() => string | Promise<string>);
  call?: Call;
}

/** curl for a call of the API, with the token left to the environment. */
export function curlOf(call: Call): string {
  const body = toJsonString(call.method.input, create(call.method.input, call.input as never), { registry });
  return [
    `curl ${location.origin}${basePath}${call.method.parent.typeName}/${call.method.name}`,
    `-H "Authorization: Bearer $TOLLGATE_TOKEN"`,
    `-H 'Content-Type: application/json'`,
    `-d '${body.replaceAll("'", `'\\''`)}'`,
  ].join(' \\\n  ');
}

/** The menu by which what is on the screen is taken to a terminal, a file or a colleague. */
export function CopyAs({ cli, yaml, call }: CopyAsProps) {
  const clipboard = useClipboard();
  const take = async (what: string, text: string | (() => string | Promise<string>)) => {
    clipboard.copy(typeof text === 'string' ? text : await text());
    notifications.show({ message: t('copiedAs', { what }), autoClose: 1500 });
  };
  return (
    <Menu>
      <Menu.Target>
        <Tooltip label={t('copyAs')}>
          <ActionIcon aria-label={t('copyAs')} data-cli={cli} variant="default">
            <IconCopy size={16} aria-hidden />
          </ActionIcon>
        </Tooltip>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{t('copyAs')}</Menu.Label>
        <Menu.Item leftSection={<IconTerminal2 size={16} aria-hidden />} onClick={() => take(t('cliCommand'), cli)}>
          {t('cliCommand')}
        </Menu.Item>
        {yaml ? (
          <Menu.Item leftSection={<IconFileText size={16} aria-hidden />} onClick={() => take(t('yaml'), yaml)}>
            {t('yaml')}
          </Menu.Item>
        ) : null}
        {call ? (
          <Menu.Item leftSection={<IconBraces size={16} aria-hidden />} onClick={() => take(t('curl'), () => curlOf(call))}>
            {t('curl')}
          </Menu.Item>
        ) : null}
        <Menu.Item leftSection={<IconLink size={16} aria-hidden />} onClick={() => take(t('link'), location.href)}>
          {t('link')}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
