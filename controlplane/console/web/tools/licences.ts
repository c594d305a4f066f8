import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import type { Plugin } from 'vite';

// Vite and its bundler put some lines of their own around every module.
const always = ['vite', 'rolldown'];

/** The folder of the package that a module is from, or undefined if it is our own. */
function packageOf(module: string): string | undefined {
  const at = module.lastIndexOf(`node_modules${sep}`);
  if (at < 0) return undefined;
  const [scope, name] = module.slice(at + 13).split(sep);
  return module.slice(0, at + 13) + (scope!.startsWith('@') ? join(scope!, name!) : scope!);
}

interface About {
  name: string;
  version: string;
  license?: string;
  author?: string | { name: string };
}

/** What a package is and under which terms it comes, with the whole text of them where it has one. */
function terms(folder: string): string {
  const about = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as About;
  if (!about.license) throw new Error(`${about.name} does not say under which licence it is: it cannot be built into the console`);
  const texts = readdirSync(folder)
    .filter((file) => /^(licen[cs]e|copying|notice)/i.test(file))
    .sort()
    .map((file) => readFileSync(join(folder, file), 'utf8').replaceAll('\r\n', '\n').trim());
  // Ours is the same, word for word.
  if (texts.length === 0 && about.license.includes('Apache-2.0')) texts.push(readFileSync(join(import.meta.dirname, '../../../../LICENSE'), 'utf8').trim());
  const by = typeof about.author === 'string' ? about.author : about.author?.name;
  return [`${about.name} ${about.version} (${about.license})${by ? `, by ${by}` : ''}`, ...texts].join('\n\n');
}

/** Writes the licences of everything that was built in: the binary passes that code on. */
export const licences = (): Plugin => ({
  name: 'licences',
  apply: 'build',
  generateBundle() {
    const folders = new Set(always.map((name) => join(import.meta.dirname, '..', 'node_modules', name)).filter(existsSync));
    for (const module of this.getModuleIds()) {
      const folder = packageOf(module);
      if (folder && !module.startsWith('\0')) folders.add(folder);
    }
    const source = [...folders].map(terms).sort().join(`\n\n${'-'.repeat(80)}\n\n`) + '\n';
    this.emitFile({ type: 'asset', fileName: 'THIRD-PARTY-LICENSES.txt', source });
  },
});
