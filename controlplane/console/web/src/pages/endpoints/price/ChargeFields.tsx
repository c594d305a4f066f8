import { Select, TagsInput } from '@mantine/core';
import { clone, create } from '@bufbuild/protobuf';
import { useState } from 'react';
import { type Charge, ChargeSchema } from '@/gen/tollgate/control/v1/meter_pb';
import { t } from '@/text/price';
import { usualStatuses } from './draft';
import type { PriceEditorProps } from './PriceEditor';
import { wrongWith } from './violations';

type When = 'usual' | 'any' | 'list';

const whenOf = (c: Charge | undefined): When => {
  const s = c?.statuses ?? [];
  if (!s.length || (s.length === 1 && s[0] === '2xx')) return 'usual';
  return s.length === 1 && s[0] === 'any' ? 'any' : 'list';
};

/** Which answers are charged. Conditions on answers are told and kept. */
export function ChargeFields({
  charge,
  field,
  problem,
  onChange,
  methods = true,
}: {
  charge: Charge | undefined;
  field: string;
  problem: PriceEditorProps['problem'];
  onChange: (charge: Charge | undefined) => void;
  /** Whether it says which methods are charged too: meters say that by what they read. */
  methods?: boolean;
}) {
  const [listed, setListed] = useState(whenOf(charge) === 'list');
  const when: When = listed ? 'list' : whenOf(charge);
  const set = (change: (c: Charge) => void) => {
    const next = charge ? clone(ChargeSchema, charge) : create(ChargeSchema);
    change(next);
    const empty = !next.statuses.length && !next.methods.length && !next.onlyIf.length && !next.unless.length;
    onChange(empty ? undefined : next);
  };
  const conditions = (charge?.onlyIf.length ?? 0) + (charge?.unless.length ?? 0);
  return (
    <>
      <Select
        label={t('chargeWhen')}
        w={230}
        value={when}
        error={wrongWith(problem, field)}
        data={[
          { value: 'usual', label: t('charge2xx') },
          { value: 'any', label: t('chargeAny') },
          { value: 'list', label: t('chargeList') },
        ]}
        onChange={(to) => {
          setListed(to === 'list');
          set((c) => (c.statuses = to === 'any' ? ['any'] : to === 'list' ? (c.statuses.length && c.statuses[0] !== 'any' ? c.statuses : usualStatuses) : []));
        }}
      />
      {when === 'list' ? (
        <TagsInput
          label={t('statuses')}
          description={t('statusesHint')}
          inputWrapperOrder={['label', 'input', 'description', 'error']}
          w={230}
          value={charge?.statuses ?? []}
          error={wrongWith(problem, `${field}.statuses`, true)}
          onChange={(statuses) => set((c) => (c.statuses = statuses))}
        />
      ) : null}
      {methods ? (
        <TagsInput
          label={t('chargedMethods')}
          w={230}
          placeholder={charge?.methods.length ? '' : t('methodsAll')}
          data={['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']}
          value={charge?.methods ?? []}
          error={wrongWith(problem, `${field}.methods`, true)}
          onChange={(list) => set((c) => (c.methods = list.map((m) => m.toUpperCase())))}
        />
      ) : null}
      {conditions ? <div className="dim">{t('conditions', { n: conditions })}</div> : null}
    </>
  );
}
