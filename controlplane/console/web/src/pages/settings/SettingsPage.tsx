import { getRouteApi, Link } from '@tanstack/react-router';
import { lazy, Suspense, type ComponentType } from 'react';
import { Permission, useCaller } from '@/api/caller';
import { type CopyAsProps } from '@/components/CopyAs';
import { NotFound } from '@/components/NotFound';
import { Page } from '@/components/Page';
import { Lines, Soon } from '@/components/Region';
import { AlertService } from '@/gen/tollgate/control/v1/alert_pb';
import { PersonService } from '@/gen/tollgate/control/v1/person_pb';
import { SettingsService } from '@/gen/tollgate/control/v1/settings_pb';
import { SystemService } from '@/gen/tollgate/control/v1/system_pb';
import { TokenService } from '@/gen/tollgate/control/v1/token_pb';
import { yamlOf } from '@/pages/access/yaml';
import { t } from '@/text/settings';
import { t as shell } from '@/text/shell';
import classes from './Settings.module.css';

const route = getRouteApi('/settings/$section');

type Id = 'general' | 'access' | 'tokens' | 'import' | 'alerts' | 'retention' | 'about';
interface Part {
  id: Id;
  needs: Permission;
  copy: CopyAsProps;
  Body: ComponentType;
}

const parts: Part[] = [
  {
    id: 'general',
    needs: Permission.CONFIG_READ,
    copy: { cli: 'tollgate settings get', yaml: () => yamlOf('settings', 'settings'), call: { method: SettingsService.method.getSettings, input: {} } },
    Body: lazy(() => import('./General')),
  },
  { id: 'access', needs: Permission.PEOPLE_READ, copy: { cli: 'tollgate person list', call: { method: PersonService.method.listPeople, input: {} } }, Body: lazy(() => import('./people/People')) },
  { id: 'tokens', needs: Permission.PEOPLE_READ, copy: { cli: 'tollgate token list', call: { method: TokenService.method.listTokens, input: {} } }, Body: lazy(() => import('./people/Tokens')) },
  { id: 'import', needs: Permission.CONFIG_READ, copy: { cli: 'tollgate apply -f config.yaml' }, Body: lazy(() => import('./import/ImportPart')) },
  { id: 'alerts', needs: Permission.CONFIG_READ, copy: { cli: 'tollgate alert list', call: { method: AlertService.method.listAlertChannels, input: {} } }, Body: lazy(() => import('./alerts/Alerts')) },
  { id: 'retention', needs: Permission.CONFIG_READ, copy: { cli: 'tollgate status', call: { method: SystemService.method.getRetention, input: {} } }, Body: lazy(() => import('./Retention')) },
  { id: 'about', needs: Permission.SIGNED_IN, copy: { cli: 'tollgate version', call: { method: SystemService.method.getInfo, input: {} } }, Body: lazy(() => import('./About')) },
];

/** Other names of parts, under which the command line opens them. */
const also: Record<string, Id> = { people: 'access' };

/** What holds for the whole deployment, a part at a time. */
export function SettingsPage() {
  const { section } = route.useParams();
  const { may } = useCaller();
  const allowed = parts.filter((p) => p.needs === Permission.SIGNED_IN || may(p.needs));
  const part = parts.find((p) => p.id === (also[section] ?? section));
  if (!part) return <NotFound />;
  return (
    <Page title={t('partOf', { part: t(part.id) })} heading={shell('settings')} copy={part.copy}>
      <div className={classes.frame}>
        <nav className={classes.nav} aria-label={t('sections')}>
          {allowed.map((p) => (
            <Link key={p.id} to="/settings/$section" params={{ section: p.id }} aria-current={p === part ? 'page' : undefined}>
              {t(p.id)}
            </Link>
          ))}
        </nav>
        <div className={classes.content}>
          {allowed.includes(part) ? (
            <Suspense
              fallback={
                <Soon>
                  <Lines n={6} />
                </Soon>
              }
            >
              <part.Body key={part.id} />
            </Suspense>
          ) : (
            <p className={classes.text}>{shell('forbidden')}</p>
          )}
        </div>
      </div>
    </Page>
  );
}
