// What became of the last change: saved, and on how many edges it is in force.

import { EdgeService } from '@/gen/tollgate/control/v1/edge_pb';
import { SystemService } from '@/gen/tollgate/control/v1/system_pb';
import { clientOf } from './client';
import { store } from './store';

export interface Save {
  state: 'saving' | 'saved' | 'spreading' | 'live' | 'behind';
  revision: bigint;
  live: number;
  total: number;
  /** Milliseconds from the answer until it was in force everywhere. */
  took: number;
  /** Edges that do not have it yet. */
  missing: string[];
}

export const save = store<Save | undefined>(undefined);

const pollEvery = 150;
const patience = 10_000;
const showFor = 12_000;
let current = 0;
let saving = 0;

export function began(): void {
  saving++;
  save.set({ state: 'saving', revision: 0n, live: 0, total: 0, took: 0, missing: [] });
}

export function failed(): void {
  saving = Math.max(0, saving - 1);
  if (!saving && save.get()?.state === 'saving') save.set(undefined);
}

export async function done(revision: bigint | undefined): Promise<void> {
  saving = Math.max(0, saving - 1);
  const mine = ++current;
  const began = performance.now();
  try {
    const at = revision ?? (await clientOf(SystemService).getInfo({})).revision;
    save.set({ state: 'saved', revision: at, live: 0, total: 0, took: 0, missing: [] });
    while (mine === current) {
      const r = await clientOf(EdgeService).getRollout({ revision: at });
      if (mine !== current) return;
      const took = performance.now() - began;
      const live = r.total > 0 && r.live >= r.total;
      save.set({
        state: live ? 'live' : took > patience ? 'behind' : 'spreading',
        revision: at,
        live: r.live,
        total: r.total,
        took,
        missing: r.nodes.filter((n) => !n.live).map((n) => n.node),
      });
      if (live || took > 120_000) break;
      await new Promise((next) => setTimeout(next, took > patience ? 2000 : pollEvery));
    }
  } catch {
    // Who may not see edges is told that it is saved, and no more.
  }
  setTimeout(() => {
    if (mine === current && !saving && save.get()?.state !== 'behind') save.set(undefined);
  }, showFor);
}
