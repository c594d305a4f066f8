import { fileURLToPath } from 'node:url';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';
import { chunkOf } from './tools/chunks.ts';
import { licences } from './tools/licences.ts';

const control = process.env.TOLLGATE_SERVER ?? 'http://localhost:4001';

export default defineConfig({
  plugins: [
    react(),
    licences(),
    // What the server writes into a page, for pages that Vite serves.
    { name: 'base', apply: 'serve', transformIndexHtml: () => [{ tag: 'base', attrs: { href: '/' }, injectTo: 'head-prepend' }] },
  ],
  // The server writes <base href>, so one build serves every path.
  base: './',
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  build: {
    outDir: '../dist',
    emptyOutDir: true,
    target: 'es2023',
    // Everything that a page loads comes from this server as a file: its policy allows nothing else.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      output: {
        // Modules of one file may be needed before those of another that needs it: they run in the order of the source.
        strictExecutionOrder: true,
        codeSplitting: { includeDependenciesRecursively: false, groups: [{ name: chunkOf(), debugName: 'chunkOf' }] },
      },
    },
  },
  server: {
    port: 5173,
    strictPort: true,
    proxy: Object.fromEntries(['/tollgate.', '/export', '/schema', '/auth', '/healthz'].map((path) => [path, { target: control }])),
  },
  test: { environment: 'jsdom', setupFiles: ['./src/test/setup.ts'], include: ['src/**/*.test.{ts,tsx}'], testTimeout: 60_000 },
});
