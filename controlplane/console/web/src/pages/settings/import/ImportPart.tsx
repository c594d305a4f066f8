import { useState } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { Section } from '@/components/Page';
import type { ApplyResponse } from '@/gen/tollgate/control/v1/config_pb';
import { t } from '@/text/import';
import classes from '../Settings.module.css';
import { Applied } from './Applied';
import { DriftPart } from './DriftPart';
import { ExportPart } from './ExportPart';
import { Planned } from './Planned';
import { type Chosen, Source } from './Source';

/** Configurations in files: taken in, given out, and what differs from them. */
export default function ImportPart() {
  const { may } = useCaller();
  const [files, setFiles] = useState<Chosen[]>();
  const [applied, setApplied] = useState<ApplyResponse>();
  const over = () => {
    setFiles(undefined);
    setApplied(undefined);
  };
  return (
    <>
      {may(Permission.CONFIG_WRITE) ? (
        applied ? (
          <Applied result={applied} onAgain={over} />
        ) : files ? (
          <Planned files={files} onClear={over} onApplied={setApplied} />
        ) : (
          <Section title={t('title')}>
            <p className={classes.text}>{t('intro')}</p>
            <Source onChosen={setFiles} />
          </Section>
        )
      ) : null}
      <ExportPart />
      <DriftPart />
    </>
  );
}
