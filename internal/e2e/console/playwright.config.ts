import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { defineConfig } from '@playwright/test';

const root = join(import.meta.dirname, '../../..');
const chromium = process.env.CHROMIUM || execFileSync(join(root, 'tools/find-chromium.sh'), { encoding: 'utf8' }).trim();

export default defineConfig({
  testDir: '.',
  testMatch: '*.spec.ts',
  outputDir: join(root, '.tmp/e2e-console'),
  // Tests of one file share a deployment and run in the order in which they stand there; files run beside each other.
  workers: 2,
  // A test that fails sometimes fails.
  retries: 0,
  forbidOnly: true,
  // Patient: what is slow fails where it is measured, and a busy machine is no fault of the console's.
  timeout: 240_000,
  expect: { timeout: 30_000 },
  reporter: [['list']],
  use: {
    launchOptions: { executablePath: chromium },
    viewport: { width: 1440, height: 900 },
    locale: 'en-US',
    timezoneId: 'Europe/Berlin',
    colorScheme: 'light',
    contextOptions: { reducedMotion: 'reduce' },
    permissions: ['clipboard-read', 'clipboard-write'],
    actionTimeout: 20_000,
    navigationTimeout: 30_000,
    trace: 'retain-on-failure',
  },
});
