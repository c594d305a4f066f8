import { expect, type Locator, type Page } from '@playwright/test';

/** How many times somebody presses Tab before they give up. */
const patience = 300;

/**
 * Somebody who does things on purpose, one after the other, and counts them: a click, a shortcut, a paste, a field filled in. Tab
 * is free. One who has a keyboard only does the same with it, and cannot reach what Tab does not.
 */
export class Person {
  steps = 0;

  constructor(
    private readonly page: Page,
    readonly keyboardOnly = false,
  ) {}

  /** Presses a button, follows a link, ticks a box. */
  async click(target: Locator): Promise<void> {
    this.steps++;
    if (!this.keyboardOnly) return target.click();
    await this.reach(target);
    const toggles = await target.evaluate((el) => el instanceof HTMLInputElement && (el.type === 'checkbox' || el.type === 'radio'));
    await this.page.keyboard.press(toggles ? 'Space' : 'Enter');
  }

  /** Fills a field in. */
  async fill(target: Locator, text: string): Promise<void> {
    this.steps++;
    if (!this.keyboardOnly) return target.fill(text);
    await this.reach(target);
    await this.page.keyboard.press('ControlOrMeta+a');
    await this.page.keyboard.insertText(text);
  }

  /** Pastes into a field, or wherever the focus is. */
  async paste(text: string, target?: Locator): Promise<void> {
    this.steps++;
    await this.page.evaluate((value) => navigator.clipboard.writeText(value), text);
    if (target) await (this.keyboardOnly ? this.reach(target) : target.focus());
    await this.page.keyboard.press('ControlOrMeta+v');
  }

  /** Presses a shortcut. A chord such as "g e" is one: its keys follow each other at once, however long the page takes to hear of them. */
  async press(keys: string): Promise<void> {
    this.steps++;
    await Promise.all(keys.split(' ').map((key) => this.page.keyboard.press(key)));
  }

  /** Picks from a list that opens below a field: opening it is one step, and picking another. */
  async choose(target: Locator, option: string | RegExp): Promise<void> {
    this.steps += 2;
    const found = this.page.getByRole('option', { name: option }).first();
    if (!this.keyboardOnly) {
      await target.click();
      return found.click();
    }
    await this.reach(target);
    if (!(await found.isVisible())) await this.page.keyboard.press('ArrowDown');
    await expect(found).toBeVisible();
    for (let i = 0; i < patience; i++) {
      if (await found.evaluate((el) => el.hasAttribute('data-combobox-selected') || el === document.activeElement)) return this.page.keyboard.press('Enter');
      await this.page.keyboard.press('ArrowDown');
    }
    throw new Error(`no arrow leads to ${option}`);
  }

  /** Moves the focus with Tab until it is on the target. */
  async reach(target: Locator): Promise<void> {
    await expect(target).toBeVisible();
    for (let i = 0; i < patience; i++) {
      if (await target.evaluate((el) => el === document.activeElement)) return;
      await this.page.keyboard.press('Tab');
    }
    throw new Error(`Tab does not lead to ${target}`);
  }

  /** Fails if it took more than it may. */
  tookAtMost(steps: number): void {
    expect(this.steps, 'deliberate steps').toBeLessThanOrEqual(steps);
  }
}
