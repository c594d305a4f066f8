import type { Page } from '@playwright/test';

/** How long the frames of a page took, in milliseconds. */
export interface Frames {
  n: number;
  p50: number;
  p99: number;
  longest: number;
  /** How many took longer than a tenth of a second, which people see. */
  slow: number;
}

interface Timed {
  frames: number[];
  timing: number;
}

/** Times each frame of the page while something happens. */
export async function framesOf(page: Page, act: () => Promise<void>): Promise<Frames> {
  await page.evaluate(() => {
    const timed = window as unknown as Timed;
    timed.frames = [];
    let last: number | undefined;
    const tick = (now: number) => {
      if (last !== undefined) timed.frames.push(now - last);
      last = now;
      timed.timing = requestAnimationFrame(tick);
    };
    timed.timing = requestAnimationFrame(tick);
  });
  await act();
  const frames = await page.evaluate(() => {
    const timed = window as unknown as Timed;
    cancelAnimationFrame(timed.timing);
    return timed.frames.toSorted((a, b) => a - b);
  });
  const at = (share: number) => Math.round(frames[Math.min(Math.floor(frames.length * share), frames.length - 1)] ?? 0);
  return { n: frames.length, p50: at(0.5), p99: at(0.99), longest: at(1), slow: frames.filter((f) => f > 100).length };
}

export const told = (f: Frames) => `${f.n} frames, p50 ${f.p50} ms, p99 ${f.p99} ms, longest ${f.longest} ms, ${f.slow} over 100 ms`;

/** How long the slowest answer to a method took since the page was loaded, in milliseconds, without what the page made of it. */
export async function answerOf(page: Page, method: string): Promise<number> {
  const took = await page.evaluate((name) => performance.getEntriesByType('resource').filter((one) => one.name.includes(name)).map((one) => one.duration), `/${method}`);
  if (took.length === 0) throw new Error(`the page did not call ${method}`);
  return Math.max(...took);
}

/** Megabytes that the page's own objects take. To collect garbage stops the page, so this is not for while frames are timed. */
export async function heapOf(page: Page): Promise<number> {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('HeapProfiler.collectGarbage');
  const { usedSize } = (await cdp.send('Runtime.getHeapUsage')) as { usedSize: number };
  await cdp.detach();
  return usedSize / 2 ** 20;
}
