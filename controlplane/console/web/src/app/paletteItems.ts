// What the palette offers: where what was found is shown, what a pasted text means, and what there is to do.

import { kept } from '@/api/store';
import { Permission } from '@/api/caller';
import type { SearchResult } from '@/gen/tollgate/control/v1/search_pb';
import { t } from '@/text/palette';

export interface Place {
  to: string;
  search?: Record<string, unknown>;
}

/** Where something that was found is shown. */
export function placeOf(result: Pick<SearchResult, 'kind' | 'id' | 'name'>): Place {
  const name = encodeURIComponent(result.name);
  switch (result.kind) {
    case 'endpoint':
      return { to: `/endpoints/${name}/overview` };
    case 'key':
      return { to: `/keys/${result.id}` };
    case 'team':
      return { to: `/teams/${name}` };
    case 'secret':
      return { to: `/secrets/${name}` };
    case 'budget':
      return { to: `/budgets/${result.id}` };
    case 'limit':
      return { to: '/budgets', search: { tab: 'limits', q: result.name } };
    case 'customer':
      return { to: '/teams', search: { tab: 'customers', q: result.name } };
    case 'tag':
      return { to: '/teams', search: { tab: 'tags', q: result.name } };
    case 'edge':
      return { to: `/edges/${name}` };
    case 'request':
      return { to: `/requests/${result.id}` };
    case 'person':
      return { to: '/settings/access', search: { q: result.name } };
    case 'token':
      return { to: '/settings/tokens', search: { q: result.name } };
    default:
      return { to: '/endpoints', search: { q: result.name } };
  }
}

/** What a text is that was pasted: an id goes straight to its page, a path can be explained. */
export function meaningOf(text: string): { kind: 'request' | 'key' | 'budget' | 'audit' | 'path'; place: Place } | undefined {
  const id = text.trim();
  if (/^req_[0-9a-z]{20,}$/.test(id)) return { kind: 'request', place: { to: `/requests/${id}` } };
  if (/^key_[0-9a-z]{20,}$/.test(id)) return { kind: 'key', place: { to: `/keys/${id}` } };
  if (/^bud_[0-9a-z]{20,}$/.test(id)) return { kind: 'budget', place: { to: `/budgets/${id}` } };
  if (/^aud_[0-9a-z]{20,}$/.test(id)) return { kind: 'audit', place: { to: `/audit/${id}` } };
  if (/^\/[^\s]*$/.test(id)) return { kind: 'path', place: { to: '/endpoints', search: { path: id } } };
  return undefined;
}

export interface Recent {
  kind: string;
  id: string;
  name: string;
}

const most = 6;

/** What was opened last with the palette: names alone. */
export const recent = kept<Recent[]>('recent', [], (text) => {
  const list = JSON.parse(text) as unknown;
  return Array.isArray(list) ? (list as Recent[]).filter((r) => r && typeof r.kind === 'string' && typeof r.id === 'string' && typeof r.name === 'string').slice(0, most) : undefined;
});

export function remember(item: Recent): void {
  recent.set((list) => [item, ...list.filter((r) => r.kind !== item.kind || r.id !== item.id)].slice(0, most));
}

export interface Action {
  id: string;
  label: string;
  place: Place;
  needs: Permission;
  /** Other words by which it is found. */
  words?: string;
  key?: string;
}

/** What can be done from everywhere. */
export const actions: Action[] = [
  { id: 'new-endpoint', label: t('newEndpoint'), place: { to: '/endpoints/new' }, needs: Permission.CONFIG_WRITE, words: 'create add route', key: 'n' },
  { id: 'new-key', label: t('newKey'), place: { to: '/keys', search: { sel: 'new' } }, needs: Permission.KEYS_WRITE, words: 'new add' },
  { id: 'new-budget', label: t('newBudget'), place: { to: '/budgets', search: { sel: 'new' } }, needs: Permission.MONEY_WRITE, words: 'new add limit' },
  { id: 'new-secret', label: t('newSecret'), place: { to: '/secrets', search: { sel: 'new' } }, needs: Permission.SECRETS_WRITE, words: 'new add credential' },
  { id: 'new-team', label: t('newTeam'), place: { to: '/teams', search: { sel: 'new' } }, needs: Permission.KEYS_WRITE, words: 'new add' },
  { id: 'import', label: t('import'), place: { to: '/settings/import' }, needs: Permission.CONFIG_WRITE, words: 'litellm yaml apply plan diff' },
  { id: 'export', label: t('export'), place: { to: '/settings/import' }, needs: Permission.CONFIG_READ, words: 'yaml download backup' },
  { id: 'live', label: t('liveOn'), place: { to: '/requests', search: { live: true } }, needs: Permission.MONEY_READ, words: 'tail log' },
  { id: 'live-errors', label: t('errorsLive'), place: { to: '/requests', search: { live: true, status: ['4xx', '5xx'] } }, needs: Permission.MONEY_READ, words: 'tail log failures' },
  { id: 'add-edge', label: t('addEdge'), place: { to: '/edges', search: { sel: 'new' } }, needs: Permission.EDGES_WRITE, words: 'join token gateway' },
  { id: 'invite', label: t('invite'), place: { to: '/settings/access', search: { sel: 'new' } }, needs: Permission.PEOPLE_WRITE, words: 'add user person' },
  { id: 'new-token', label: t('newToken'), place: { to: '/settings/tokens', search: { sel: 'new' } }, needs: Permission.PEOPLE_WRITE, words: 'admin api' },
  { id: 'account', label: t('account'), place: { to: '/account' }, needs: Permission.SIGNED_IN, words: 'password sessions' },
];

/** Whether all words of a question are in a text, in any order. */
export function matches(question: string, text: string): boolean {
  const lower = text.toLowerCase();
  return question.toLowerCase().split(/\s+/).every((w) => lower.includes(w));
}
