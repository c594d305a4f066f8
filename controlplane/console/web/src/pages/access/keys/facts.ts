// What is told of a key in a row and on its page.

import { KeyStatus, type Key } from '@/gen/tollgate/control/v1/key_pb';
import { type Budget, type BudgetState, BudgetStatus, Enforcement } from '@/gen/tollgate/control/v1/budget_pb';
import type { Tone } from '@/components/Status';
import { nanos } from '@/lib/money';

/** What a key is recognised by; nothing for one whose secret was never seen. */
export const masked = (k: { prefix: string; suffix: string }) => (k.suffix ? `${k.prefix.slice(0, 4)}…${k.suffix}` : '');

export type State = 'active' | 'rotating' | 'expiring' | 'expired' | 'blocked' | 'revoked' | 'used_up';

const states: Partial<Record<KeyStatus, State>> = {
  [KeyStatus.ROTATING]: 'rotating',
  [KeyStatus.EXPIRING]: 'expiring',
  [KeyStatus.EXPIRED]: 'expired',
  [KeyStatus.BLOCKED]: 'blocked',
  [KeyStatus.REVOKED]: 'revoked',
};

export const tones: Record<State, Tone> = { active: 'ok', rotating: 'info', expiring: 'warn', expired: 'off', blocked: 'bad', revoked: 'off', used_up: 'bad' };

/** How a key is. One that may be used and has a hard budget of which nothing is left is refused all the same. */
export function stateOf(k: Key, purses: Purse[] = []): State {
  const state = states[k.status];
  if (state && state !== 'rotating' && state !== 'expiring') return state;
  if (purses.some((p) => p.budget.enforcement !== Enforcement.SOFT && p.state?.status === BudgetStatus.EXHAUSTED)) return 'used_up';
  return state ?? 'active';
}

/** Whether callers can still use a key, now or once it is unblocked. */
export const alive = (k: Key) => k.status !== KeyStatus.REVOKED && k.status !== KeyStatus.EXPIRED;

export interface Purse {
  budget: Budget;
  state: BudgetState | undefined;
}

/** Budgets with their states, where states were told. */
export const purses = (answer: { budgets: Budget[]; states: BudgetState[] }): Purse[] => {
  const states = new Map(answer.states.map((s) => [s.budgetId, s]));
  return answer.budgets.map((budget) => ({ budget, state: states.get(budget.id) }));
};

export interface Left {
  budget: Budget;
  left: bigint;
}

/** What bounds a request, tightest first: the hard budgets and what is left of each. Soft ones refuse nothing. */
export function effective(all: Purse[]): Left[] {
  return all
    .flatMap(({ budget, state }) => (state && budget.enforcement !== Enforcement.SOFT ? [{ budget, left: nanos(state.remaining) }] : []))
    .toSorted((a, b) => (a.left < b.left ? -1 : a.left > b.left ? 1 : 0));
}

/** The budget of those of a key that is told in its row: the one of which the least share is left. */
export function tightest(all: Purse[]): Purse | undefined {
  let found: Purse | undefined;
  for (const p of all) {
    if (!p.state) continue;
    // a/b < c/d, without leaving whole numbers.
    if (!found?.state || nanos(p.state.remaining) * nanos(found.state.limit) < nanos(found.state.remaining) * nanos(p.state.limit)) found = p;
  }
  return found ?? all[0];
}

/** A value for a shell or a filter, quoted where it has to be. */
export const quote = (text: string) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

/** A file with the address of the gateway and a key, as programs read it. */
export const envFile = (gateway: string, secret: string) => `TOLLGATE_URL=${gateway}\nTOLLGATE_KEY=${secret}\n`;

export type Language = 'curl' | 'python' | 'javascript';

/** A first request with a key, as a program. */
export function snippet(language: Language, url: string, secret: string): string {
  switch (language) {
    case 'curl':
      return `curl ${quote(url)} \\\n  -H ${quote(`Authorization: Bearer ${secret}`)} \\\n  --json '{}'`;
    case 'python':
      return `import requests

answer = requests.post(
    ${JSON.stringify(url)},
    headers={"Authorization": ${JSON.stringify(`Bearer ${secret}`)}},
    json={},
)
print(answer.status_code, answer.headers.get("x-tollgate-cost"))`;
    case 'javascript':
      return `const answer = await fetch(${JSON.stringify(url)}, {
  method: "POST",
  headers: {
    Authorization: ${JSON.stringify(`Bearer ${secret}`)},
    "Content-Type": "application/json",
  },
  body: "{}",
});
console.log(answer.status, answer.headers.get("x-tollgate-cost"));`;
  }
}

/** Keys as a table for other programs. What they are recognised by is in it, and no secret: the console has none. */
export function csv(header: string[], rows: string[][]): string {
  // A cell that a spreadsheet would take for a formula is made text.
  const cell = (text: string) => {
    const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return [header, ...rows].map((r) => r.map(cell).join(',')).join('\r\n') + '\r\n';
}

/** Gives the browser a file. */
export function download(name: string, text: string, type = 'text/plain'): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const a = document.createElement('a');
  a.href = url;
  a.download = name;
  a.click();
  URL.revokeObjectURL(url);
}
