import { useQuery } from '@connectrpc/connect-query';
import { Region } from '@/components/Region';
import { ExplainService, type Explanation } from '@/gen/tollgate/control/v1/explain_pb';
import { t } from '@/text/try';
import { type Draft, headersOf } from './draft';
import { TraceView } from './TraceView';
import classes from './Try.module.css';

/** Bodies above this are not sent along to be explained. */
export const explainMost = 262_144;

export function explainInput(draft: Draft, path: string, edge: string) {
  const body = new TextEncoder().encode(draft.body);
  return { method: draft.method, path, key: draft.key, headers: headersOf(draft), edge, bodyBytes: BigInt(body.length), ...(body.length <= explainMost ? { body } : {}) };
}

/** What an edge makes of a request: what goes to the target with secrets masked, or what each stage says. */
export function SentView({ draft, path, edge, trace }: { draft: Draft; path: string; edge: string; trace?: boolean }) {
  const told = useQuery(ExplainService.method.explain, explainInput(draft, path, edge), { retry: false });
  return (
    <Region query={told} skeleton={4}>
      {({ explanation }) => (!explanation ? null : trace ? <TraceView explanation={explanation} /> : <Sent explanation={explanation} />)}
    </Region>
  );
}

export function Sent({ explanation }: { explanation: Explanation }) {
  const origin = (o: string) => (t.has(`origin_${o}`) ? t(`origin_${o}` as 'origin_caller') : o);
  return (
    <div>
      <div className="dim" style={{ fontSize: 12, marginBottom: 6 }}>
        {t('sentNote')}
      </div>
      <div className={classes.pane} tabIndex={0} role="region" aria-label={t('sent')}>
        <div className="mono wrap">{explanation.url}</div>
        <table className={classes.sent}>
          <thead>
            <tr>
              <th>{t('name')}</th>
              <th>{t('value')}</th>
              <th>{t('origin')}</th>
            </tr>
          </thead>
          <tbody>
            {explanation.host ? (
              <tr>
                <td className="mono">{t('host')}</td>
                <td className="mono">{explanation.host}</td>
                <td className="dim">{t('origin_gateway')}</td>
              </tr>
            ) : null}
            {explanation.headers.map((h, i) => (
              <tr key={i} data-off={h.removed ? true : undefined}>
                <td className="mono">{h.name}</td>
                <td className="mono">{h.removed ? `${t('notSent')}: ${h.removed}` : h.value}</td>
                <td className="dim">{origin(h.origin)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}
