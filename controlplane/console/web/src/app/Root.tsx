import { Outlet, useRouterState } from '@tanstack/react-router';
import { Shell } from './Shell';

/** Paths of pages that are seen without being signed in. */
export const open = new Set(['/login', '/setup', '/device']);

/** Every page: those for signing in stand alone. */
export function Root() {
  const path = useRouterState({ select: (s) => s.location.pathname });
  return open.has(path) ? <Outlet /> : <Shell />;
}
