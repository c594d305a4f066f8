import { Select } from '@mantine/core';
import { useQuery } from '@connectrpc/connect-query';
import { useState } from 'react';
import { clientOf } from '@/api/client';
import { Confirm } from '@/components/Confirm';
import { Failure } from '@/components/Region';
import type { Price } from '@/gen/tollgate/control/v1/price_pb';
import { TemplateService } from '@/gen/tollgate/control/v1/template_pb';
import { t } from '@/text/price';

/** The prices of a vendor, with its meters and the list of the book that has its models. */
export function Preset({ replaces, onUse }: { replaces: boolean; onUse: (price: Price) => void }) {
  const { data } = useQuery(TemplateService.method.listTemplates, {}, { staleTime: Infinity });
  const [asked, setAsked] = useState<string>();
  const [error, setError] = useState<unknown>();
  const titles = new Map((data?.templates ?? []).map((p) => [p.name, p.title]));
  const use = async (name: string) => {
    const { template } = await clientOf(TemplateService).getTemplate({ name });
    if (template?.endpoint?.price) onUse(template.endpoint.price);
  };
  const choose = (name: string | null) => {
    if (!name) return;
    setError(undefined);
    if (replaces) setAsked(name);
    else use(name).catch(setError);
  };
  return (
    <>
      <Select
        label={t('preset')}
        placeholder={t('presetNone')}
        w={260}
        searchable
        value={null}
        data={[...titles].filter(([name]) => name !== 'blank' && name !== 'bria').map(([value, label]) => ({ value, label }))}
        onChange={choose}
      />
      {error ? <Failure error={error} /> : null}
      {asked ? (
        <Confirm title={t('presetReplace', { name: titles.get(asked) ?? asked })} action={t('presetUse')} danger={false} run={() => use(asked)} onClose={() => setAsked(undefined)}>
          {t('presetReplaceText')}
        </Confirm>
      ) : null}
    </>
  );
}
