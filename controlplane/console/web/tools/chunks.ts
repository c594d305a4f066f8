// Which file of the build a module goes to: few files, of which the first page needs as little as it can. What libraries come
// to changes seldom, so it keeps its name and bytes when only pages change.

import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

interface Modules {
  getModuleInfo(id: string): { importedIds: readonly string[] } | null;
}

const areas: Record<string, string> = {
  endpoints: 'traffic',
  requests: 'traffic',
  access: 'access',
  money: 'money',
  overview: 'overview',
  edges: 'platform',
  audit: 'platform',
  settings: 'platform',
  account: 'platform',
};

/** The name of the file for a module; null leaves it to the bundler. */
export function chunkOf() {
  let first: Set<string> | undefined;
  return (id: string, modules: Modules): string | null => {
    const path = id.replaceAll('\\', '/');
    if (path.includes('rolldown') || path.startsWith('\0vite')) return null;
    first ??= reached(modules);
    const needed = first.has(id);
    const area = /\/src\/pages\/([^/]+)\//.exec(path)?.[1];
    if (area) return needed ? 'app' : areas[area]!;
    if (/\/node_modules\/(react|react-dom|scheduler)\//.test(path)) return 'react';
    if (/\/node_modules\/(@tanstack|@connectrpc|@bufbuild)\//.test(path)) return 'vendor';
    if (/uplot|\/TimeChart\./i.test(path)) return 'chart';
    if (/\/node_modules\/(@mantine|@floating-ui)\//.test(path)) return needed ? 'ui' : 'kit';
    return needed ? 'app' : 'kit';
  };
}

// All modules that are loaded before anything is shown: those that the entry imports, and what those import. A library that
// gives all it has through one module counts with what is taken from it by name, not with all.
function reached(modules: Modules): Set<string> {
  const out = new Set<string>();
  const root = fileURLToPath(new URL('..', import.meta.url));
  const next = [join(root, 'index.html'), join(root, 'src/main.tsx')];
  for (let id = next.pop(); id !== undefined; id = next.pop()) {
    if (out.has(id)) continue;
    out.add(id);
    for (const imported of modules.getModuleInfo(id)?.importedIds ?? []) {
      if (!given.test(imported)) next.push(imported);
      else next.push(...taken(id, imported, modules));
    }
  }
  return out;
}

const given = /\/node_modules\/(@mantine\/core\/esm\/index|@tabler\/icons-react\/dist\/esm\/tabler-icons-react)\.m?js$/;
const names = /import\s*(?:type\s*)?\{([^}]*)\}\s*from\s*['"](@mantine\/core|@tabler\/icons-react)['"]/g;

// The modules that hold what a module takes from a library by name.
function taken(id: string, library: string, modules: Modules): string[] {
  const wanted = new Set<string>();
  for (const m of readFileSync(id, 'utf8').matchAll(names)) for (const name of m[1]!.split(',')) wanted.add(file(name.trim().replace(/^type\s+/, '').split(/\s+as\s+/)[0]!));
  return all(library, modules).filter((m) => wanted.has(file(basename(m).replace(/\.m?js$/, ''))));
}

// A name as it is in the names of files, whichever way they are written: useColorScheme and use-color-scheme.
const file = (name: string) => name.replaceAll('-', '').toLowerCase();

const lists = new Map<string, string[]>();

// Every module that a library's one module gives on, through modules that only give on as well.
function all(library: string, modules: Modules): string[] {
  let list = lists.get(library);
  if (!list) {
    const seen = new Set<string>();
    const next = [library];
    for (let id = next.pop(); id !== undefined; id = next.pop()) {
      if (seen.has(id)) continue;
      seen.add(id);
      if (id === library || basename(id).startsWith('index.')) next.push(...(modules.getModuleInfo(id)?.importedIds ?? []));
    }
    lists.set(library, (list = [...seen]));
  }
  return list;
}
