import { join } from 'node:path';
import { AxeBuilder } from '@axe-core/playwright';
import { expect, type Page } from '@playwright/test';

const images = join(import.meta.dirname, '../../../../docs/images');
const colours = ['color-contrast', 'link-in-text-block'];
const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

export type Scheme = 'light' | 'dark';

/** Shows the page as a system that is set to a scheme does. */
export async function scheme(page: Page, which: Scheme): Promise<void> {
  await page.emulateMedia({ colorScheme: which, reducedMotion: 'reduce' });
  await expect(page.locator('html')).toHaveAttribute('data-mantine-color-scheme', which);
}

/** Waits until nothing on the page is a placeholder for what is still to come. */
export async function settled(page: Page): Promise<void> {
  await expect(page.locator('.mantine-Skeleton-root, [aria-busy="true"]')).toHaveCount(0);
  await page.evaluate(() => document.fonts.ready);
}

/** Fails if people who see, hear or move otherwise could not use the page, in either scheme. */
export async function axe(page: Page): Promise<void> {
  await settled(page);
  for (const which of ['dark', 'light'] as const) {
    await scheme(page, which);
    const look = new AxeBuilder({ page });
    // Of a scheme's making are colours alone, so the rest is looked for once.
    const found = await (which === 'dark' ? look.withRules(colours) : look.withTags(rules)).analyze();
    const problems = found.violations.map((v) => `${v.id}: ${v.help}\n${v.nodes.map((n) => `    ${n.target.join(' ')}: ${n.failureSummary}`).join('\n')}`);
    expect(problems, `${which}, ${page.url()}`).toEqual([]);
  }
}

/** Makes the pictures of a page that documents show, where SHOTS=1 asks for them. */
export async function shot(page: Page, name: string): Promise<void> {
  if (process.env.SHOTS !== '1') return;
  const before = page.viewportSize()!;
  for (const [width, height] of [[1440, 900], [390, 844]] as const) {
    await page.setViewportSize({ width, height });
    for (const which of ['dark', 'light'] as const) {
      await scheme(page, which);
      await settled(page);
      await page.screenshot({ path: join(images, `${name}-${which}-${width}.png`), animations: 'disabled', caret: 'hide' });
    }
  }
  await page.setViewportSize(before);
}
