// Fails when the console became larger than people should wait for. Called with the folder that was built.
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join, posix } from 'node:path';
import { gzipSync } from 'node:zlib';

const dist = process.argv[2];
const most = { 'first load, JavaScript': 330_000, 'first load, CSS': 40_000, 'all JavaScript': 640_000, 'everything, as it is': 2_600_000, files: 30 };

const files = new Map(
  readdirSync(dist, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => [posix.relative(dist, join(entry.parentPath, entry.name)), readFileSync(join(entry.parentPath, entry.name))]),
);
const compressed = new Map([...files].map(([name, content]) => [name, gzipSync(content, { level: 9 }).length]));

/** Files that a script cannot run without. Those of pages are fetched when somebody goes there. */
const needs = (name) =>
  [...files.get(name).toString().matchAll(/(?:\bfrom|\bimport)\s*["'](\.{1,2}\/[^"']+)["']/g)]
    .map((found) => posix.join(posix.dirname(name), found[1]))
    .filter((one) => files.has(one));

const first = new Set();
const load = (name) => {
  if (first.has(name)) return;
  first.add(name);
  if (extname(name) === '.js') needs(name).forEach(load);
};
for (const found of files.get('index.html').toString().matchAll(/(?:src|href)="\.\/([^"]+)"/g)) load(found[1]);

const sum = (names, kind, size) => names.filter((name) => extname(name) === kind).reduce((all, name) => all + size.get(name), 0);
const is = {
  'first load, JavaScript': sum([...first], '.js', compressed),
  'first load, CSS': sum([...first], '.css', compressed),
  'all JavaScript': sum([...files.keys()], '.js', compressed),
  'everything, as it is': [...files.values()].reduce((all, content) => all + content.length, 0),
  files: files.size,
};

for (const [name, content] of [...files].sort()) {
  console.log(`${first.has(name) ? '*' : ' '} ${name.padEnd(44)} ${String(content.length).padStart(9)} ${String(compressed.get(name)).padStart(8)}`);
}
console.log('\n  (* part of the first load; bytes, and bytes compressed)\n');
let over = false;
for (const [what, n] of Object.entries(is)) {
  const bad = n > most[what];
  over ||= bad;
  console.log(`${bad ? '✗' : ' '} ${what.padEnd(24)} ${String(n).padStart(9)} of ${String(most[what]).padStart(9)}`);
}
if (over) {
  console.error('\nThe console is larger than it may be: load what is seldom needed when it is needed, or take out what is not.');
  process.exit(1);
}
