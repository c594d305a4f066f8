import { SegmentedControl } from '@mantine/core';
import { useState } from 'react';
import type { Problem } from '@/api/errors';
import type { Endpoint } from '@/gen/tollgate/control/v1/endpoint_pb';
import type { Price } from '@/gen/tollgate/control/v1/price_pb';
import { t } from '@/text/price';
import { choose, type Drafts, type Kind, kinds } from './draft';
import { FixedPrice } from './FixedPrice';
import { MeteredPrice } from './MeteredPrice';
import classes from './PriceEditor.module.css';
import { ReportedPrice } from './ReportedPrice';
import { UsagePrice } from './UsagePrice';
import { Version } from './Version';
import { wrongWith } from './violations';

export interface PriceEditorProps {
  /** The price; undefined while nothing is chosen. */
  value: Price | undefined;
  onChange: (price: Price) => void;
  /** The endpoint as it is stored, if it is: its price has a version, and its tries are samples. */
  endpoint?: Endpoint | undefined;
  problem?: Pick<Problem, 'violations'> | undefined;
}

/** What a request costs, of one kind or another. What was entered for the other kinds stays until the page is left. */
export function PriceEditor({ value, onChange, endpoint, problem }: PriceEditorProps) {
  const [drafts, setDrafts] = useState<Drafts>({});
  const kind = value?.kind.case;
  const offered: Kind[] = kind === 'usage' || drafts.usage ? [...kinds, 'usage'] : kinds;
  const pick = (to: string) => {
    if (to === kind) return;
    const next = choose(value, to as Kind, drafts);
    setDrafts(next.drafts);
    onChange(next.price);
  };
  const missing = wrongWith(problem, '') ?? wrongWith(problem, 'kind');
  return (
    <div className={classes.editor}>
      <SegmentedControl
        aria-label={t('kind')}
        value={kind ?? ''}
        onChange={pick}
        data={offered.map((k) => ({ value: k, label: t(k) }))}
        className={classes.kinds}
      />
      {missing ? (
        <div className="bad" role="alert">
          {missing}
        </div>
      ) : null}
      {value ? <Fields value={value} onChange={onChange} endpoint={endpoint} problem={problem} /> : <div className="dim">{t('choose')}</div>}
      {endpoint?.id ? <Version endpoint={endpoint} /> : null}
    </div>
  );
}

function Fields({ value, ...props }: PriceEditorProps & { value: Price }) {
  switch (value.kind.case) {
    case 'free':
      return <div className="dim">{t('freeText')}</div>;
    case 'fixed':
      return <FixedPrice price={value} fixed={value.kind.value} {...props} />;
    case 'metered':
      return <MeteredPrice price={value} metered={value.kind.value} {...props} />;
    case 'reported':
      return <ReportedPrice price={value} reported={value.kind.value} {...props} />;
    case 'usage':
      return <UsagePrice price={value} usage={value.kind.value} {...props} />;
    case undefined:
      return null;
  }
}
