import { ActionIcon, Button, CopyButton, Tooltip } from '@mantine/core';
import { IconCheck, IconCopy } from '@tabler/icons-react';
import { t } from '@/text/shell';

/** Copies a text. Without iconOnly the text itself is what is pressed. */
export function CopyText({ value, label, iconOnly, shown }: { value: string; label?: string; iconOnly?: boolean; shown?: string }) {
  const name = label ?? t('copy');
  return (
    <CopyButton value={value} timeout={1500}>
      {({ copied, copy }) => (
        <Tooltip label={copied ? t('copied') : name}>
          {iconOnly ? (
            <ActionIcon aria-label={name} onClick={copy} size={24} color={copied ? 'green' : 'gray'}>
              {copied ? <IconCheck size={14} aria-hidden /> : <IconCopy size={14} aria-hidden />}
            </ActionIcon>
          ) : (
            <Button
              variant="subtle"
              color="gray"
              size="compact-xs"
              className="mono"
              aria-label={`${name}: ${value}`}
              onClick={copy}
              rightSection={copied ? <IconCheck size={12} aria-hidden /> : <IconCopy size={12} aria-hidden />}
            >
              {shown ?? value}
            </Button>
          )}
        </Tooltip>
      )}
    </CopyButton>
  );
}
