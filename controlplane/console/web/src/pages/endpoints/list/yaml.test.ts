import { expect, it } from 'vitest';
import { only } from './yaml';

const file = `# yaml-language-server: $schema=x
version: 1
endpoints:
  - name: bria
    path: /bria
    headers:
      a: |
        - name: llm

        text
  - name: "llm"
    path: /llm
secrets:
  - name: bria
`;

it('takes one object out of a file', () => {
  expect(only(file, 'endpoints', 'bria')).toBe('# yaml-language-server: $schema=x\nversion: 1\nendpoints:\n  - name: bria\n    path: /bria\n    headers:\n      a: |\n        - name: llm\n\n        text\n');
  expect(only(file, 'endpoints', 'llm')).toBe('# yaml-language-server: $schema=x\nversion: 1\nendpoints:\n  - name: "llm"\n    path: /llm\n');
  expect(only(file, 'endpoints', 'none')).toBe(file);
  expect(only(file, 'keys', 'bria')).toBe(file);
});
