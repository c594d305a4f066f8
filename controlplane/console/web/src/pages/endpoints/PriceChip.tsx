import { Chip } from '@/components/Status';
import type { Endpoint } from '@/gen/tollgate/control/v1/endpoint_pb';
import { exact, nanos, short } from '@/lib/money';
import { list } from '@/lib/text';
import { t } from '@/text/price';
import { costHeader } from './price/draft';
import { unpricedBy } from './list/facts';

/** What a request costs, in a word: $12.00/req, 2 meters, free. */
export function PriceChip({ endpoint }: { endpoint: Endpoint }) {
  const price = endpoint.price;
  if (endpoint.models) return <Chip hint={t('hintModels')}>{t('modelsPrice')}</Chip>;
  if (unpricedBy(price)) return <Chip tone="warn">{t('none')}</Chip>;
  switch (price?.kind.case) {
    case 'free':
      return <Chip>{t('free')}</Chip>;
    case 'fixed': {
      const n = nanos(price.kind.value.perRequest);
      return <Chip hint={t('hintFixed', { amount: exact(n) })}>{t('chipFixed', { amount: short(n) })}</Chip>;
    }
    case 'metered': {
      const priced = price.kind.value.meters.filter((m) => !m.free);
      return <Chip hint={t('hintMetered', { list: list(priced.slice(0, 8).map((m) => m.name)) })}>{t('chipMeters', { n: priced.length })}</Chip>;
    }
    case 'reported': {
      const { header, ceiling } = price.kind.value;
      return <Chip hint={t('hintReported', { header: header || costHeader, amount: exact(nanos(ceiling)) })}>{t('chipReported', { amount: short(nanos(ceiling)) })}</Chip>;
    }
    case 'usage':
      return <Chip>{t('chipUsage', { n: price.kind.value.rates.length })}</Chip>;
    case undefined:
      return null;
  }
}
