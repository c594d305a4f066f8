// Measures the live list under load: requests are sent to a gateway at an even rate while a browser follows them, and each frame
// of the page is timed. It prints what it measured as JSON.
//
//   node tail-load.mjs --console http://localhost:4001 --gateway http://localhost:4000 --session state.json [--rate 500] [--seconds 60]
//
// The session is a storage state of Playwright of somebody who is signed in. Requests carry no key, so that they are refused and
// cost nothing; the list shows them as any other.
import http from 'node:http';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

const { values: given } = parseArgs({
  options: {
    console: { type: 'string', default: 'http://localhost:4001' },
    gateway: { type: 'string', multiple: true, default: ['http://localhost:4000'] },
    session: { type: 'string' },
    path: { type: 'string', default: '/bria/load' },
    rate: { type: 'string', default: '500' },
    seconds: { type: 'string', default: '60' },
    browser: { type: 'string', default: '/usr/bin/chromium' },
  },
});
const rate = Number(given.rate);
const seconds = Number(given.seconds);

const browser = await chromium.launch({ executablePath: given.browser, args: ['--no-sandbox'] });
const context = await browser.newContext({ storageState: given.session, viewport: { width: 1440, height: 900 } });
const page = await context.newPage();
const problems = [];
page.on('pageerror', (e) => problems.push(e.message));
await page.goto(`${given.console}/requests?live=1&all=1`);
await page.getByText('Live', { exact: true }).last().waitFor();

const cdp = await context.newCDPSession(page);
await cdp.send('HeapProfiler.enable');
// To collect garbage stops the page, so it is done before and after frames are timed.
const heap = async () => {
  await cdp.send('HeapProfiler.collectGarbage');
  return (await cdp.send('Runtime.getHeapUsage')).usedSize;
};

// Even load: what is due is sent, however late the timer is.
const agent = new http.Agent({ keepAlive: true, maxSockets: 32 });
let sent = 0;
let failed = 0;
function one() {
  const url = new URL(given.path, given.gateway[sent++ % given.gateway.length]);
  const req = http.request(url, { agent, method: 'GET' }, (res) => res.resume());
  req.on('error', () => failed++);
  req.end();
}
const began = performance.now();
const timer = setInterval(() => {
  const due = Math.floor(((performance.now() - began) / 1000) * rate);
  while (sent < due) one();
}, 5);

const warm = Math.min(10, seconds / 4) * 1000;
await page.waitForTimeout(warm); // until the list is full, memory has to grow
const samples = [await heap()];
await page.evaluate(() => {
  const frames = (window.frames_ = []);
  let last = performance.now();
  const tick = (now) => {
    frames.push(now - last);
    last = now;
    window.frame_ = requestAnimationFrame(tick);
  };
  requestAnimationFrame((now) => {
    last = now;
    tick(now);
    frames.length = 0;
  });
});
await page.waitForTimeout(Math.max(began + seconds * 1000 - performance.now(), 1000));
const frames = await page.evaluate(() => (cancelAnimationFrame(window.frame_), window.frames_));
samples.push(await heap());
clearInterval(timer);
const shown = await page.locator('[role=table]').getAttribute('aria-rowcount');
const sorted = frames.toSorted((a, b) => a - b);
const at = (share) => Math.round(sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)] * 10) / 10;
console.log(
  JSON.stringify(
    {
      rate: Math.round(sent / ((performance.now() - began) / 1000)),
      sent, failed, rowsKept: Number(shown),
      frames: { n: frames.length, p50: at(0.5), p99: at(0.99), max: at(1), over100ms: frames.filter((f) => f > 100).length },
      heapMB: samples.map((b) => Math.round(b / 104857.6) / 10),
      problems,
    },
    undefined,
    2,
  ),
);
agent.destroy();
await browser.close();
