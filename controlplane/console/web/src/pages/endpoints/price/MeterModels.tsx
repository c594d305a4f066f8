import { ActionIcon, Button, Group, NativeSelect, TextInput } from '@mantine/core';
import { useQuery } from '@connectrpc/connect-query';
import { IconTrash } from '@tabler/icons-react';
import { useState } from 'react';
import type { Meter, Source } from '@/gen/tollgate/control/v1/meter_pb';
import { PriceBookService } from '@/gen/tollgate/control/v1/pricebook_pb';
import { t } from '@/text/price';
import { addModel } from './metered';
import classes from './MeterEditor.module.css';
import type { PriceEditorProps } from './PriceEditor';
import { wrongWith } from './violations';

const sourceText = (s: Source) => `${t(`place_${s.place.case ?? 'frame'}`)} ${s.place.value ?? ''}`;

/** Whose prices are shown where models cost different amounts, and the list of the book in which others are looked up. */
export function MeterModels({
  meter,
  index,
  model,
  onModel,
  onChange,
  problem,
}: {
  meter: Meter;
  index: number;
  model: number;
  onModel: (model: number) => void;
  onChange: (edit: (m: Meter) => void) => void;
  problem: PriceEditorProps['problem'];
}) {
  const [adding, setAdding] = useState<string>();
  const simple = !meter.book && meter.model.length === 0 && meter.prices.length <= 1 && (meter.prices[0]?.model ?? '*') === '*';
  const { data } = useQuery(PriceBookService.method.getPriceBook, {}, { enabled: !simple, staleTime: 300_000 });
  if (simple) return null;
  const lists = data?.lists ?? [];
  const known = lists.some((l) => l.name === meter.book);
  return (
    <>
      <div className={classes.fields}>
        {meter.prices.length ? (
          <Group gap={4} align="flex-end" wrap="nowrap">
            <NativeSelect
              size="xs"
              label={t('models')}
              w={200}
              value={String(model)}
              error={wrongWith(problem, `metered.meters[${index}].prices[${model}].model`)}
              data={meter.prices.map((p, i) => ({ value: String(i), label: p.model === '*' ? t('modelAny') : p.model }))}
              onChange={(e) => onModel(Number(e.currentTarget.value))}
            />
            <ActionIcon
              aria-label={t('removeModel', { model: meter.prices[model]?.model ?? '' })}
              onClick={() => {
                onModel(0);
                onChange((m) => m.prices.splice(model, 1));
              }}
            >
              <IconTrash size={14} aria-hidden />
            </ActionIcon>
          </Group>
        ) : null}
        {adding === undefined ? (
          <Button variant="default" className={classes.low} onClick={() => setAdding('')}>
            {t('addModel')}
          </Button>
        ) : (
          <TextInput
            size="xs"
            autoFocus
            label={t('newModel')}
            description={t('newModelHint')}
            inputWrapperOrder={['label', 'input', 'description', 'error']}
            w={260}
            value={adding}
            onChange={(e) => setAdding(e.currentTarget.value)}
            onBlur={() => setAdding(undefined)}
            onKeyDown={(e) => {
              if (e.key === 'Escape') setAdding(undefined);
              if (e.key !== 'Enter') return;
              e.preventDefault();
              const name = adding.trim();
              if (!name) return;
              onChange((m) => onModel(addModel(m, name)));
              setAdding(undefined);
            }}
          />
        )}
        <NativeSelect
          size="xs"
          label={t('book')}
          w={220}
          value={meter.book}
          error={wrongWith(problem, `metered.meters[${index}].book`)}
          data={[
            { value: '', label: t('bookNone') },
            ...lists.map((l) => ({ value: l.name, label: t('bookRows', { name: l.name, n: Number(l.rows + l.overrides) }) })),
            ...(meter.book && !known ? [{ value: meter.book, label: meter.book }] : []),
          ]}
          onChange={(e) => {
            const book = e.currentTarget.value;
            onChange((m) => (m.book = book));
          }}
        />
      </div>
      {meter.model.length ? (
        <div className="dim">
          {t('modelSources')} <span className="mono">{meter.model.map(sourceText).join(', ')}</span>
        </div>
      ) : null}
    </>
  );
}
