// Checks what no type says: text that people read is in the catalogue, amounts never become floats, and there is one library of
// components. Called with the folders to look through.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAst } from 'rolldown/parseAst';

/** Attributes that people read or hear. */
const read = new Set(['alt', 'aria-label', 'aria-description', 'description', 'label', 'legend', 'nothingFoundMessage', 'placeholder', 'title']);

/** Elements that show what is typed or sent, which is the same in every language. */
const verbatim = new Set(['Code', 'Kbd', 'code', 'kbd']);

/** Codes, and what is typed as it is. */
const same = /\b(USD|UTC|now)\b/g;

/** What makes a float, and names by which amounts go. */
const floats = new Set(['Number', 'Number.parseFloat', 'Number.parseInt', 'parseFloat', 'parseInt']);
const amount = /amount|balance|budget|cost|limit|money|nanos|price|reserved|spen[dt]|usd/i;

/** Where amounts are converted, and nowhere else. */
const converts = /(^|\/)lib\/money(\.test)?\.ts$/;

const others =
  /^(antd|@ant-design|@base-ui|@chakra-ui|@fluentui|@headlessui|@heroui|@mui|@nextui-org|@radix-ui|radix-ui|@shadcn|bootstrap|primereact|react-aria|react-bootstrap|rsuite|semantic-ui|styled-components|@emotion|tailwindcss)(\/|$)/;

const problems = [];

function look(file) {
  const text = readFileSync(file, 'utf8');
  const say = (node, what) => problems.push(`${file}:${text.slice(0, node.start).split('\n').length}: ${what}`);
  const words = (value) => typeof value === 'string' && /\p{L}{2}/u.test(value.replaceAll(same, ''));
  const literal = (node) => (node?.type === 'JSXExpressionContainer' ? literal(node.expression) : node?.type === 'Literal' ? node.value : node?.type === 'TemplateLiteral' ? node.quasis.map((q) => q.value.cooked).join('') : undefined);

  const walk = (node, inside) => {
    if (node === null || typeof node !== 'object') return;
    if (Array.isArray(node)) return node.forEach((one) => walk(one, inside));
    switch (node.type) {
      case 'JSXElement':
        inside = verbatim.has(node.openingElement.name.name) ? 'verbatim' : '';
        break;
      case 'JSXText':
        if (inside !== 'verbatim' && words(node.value)) say(node, `text in JSX: ${JSON.stringify(node.value.trim())} belongs into the catalogue`);
        break;
      case 'JSXAttribute':
        if (read.has(node.name.name) && words(literal(node.value))) say(node, `text in JSX: ${node.name.name}=${JSON.stringify(literal(node.value))} belongs into the catalogue`);
        break;
      case 'JSXExpressionContainer':
        if (inside !== 'verbatim' && inside !== 'attribute' && words(literal(node))) say(node, `text in JSX: ${JSON.stringify(literal(node))} belongs into the catalogue`);
        break;
      case 'CallExpression': {
        const name = text.slice(node.callee.start, node.callee.end);
        const what = node.arguments.map((one) => text.slice(one.start, one.end)).join(', ');
        if (floats.has(name) && amount.test(what) && !converts.test(file)) say(node, `${name}(${what}): an amount is a bigint; see lib/money.ts`);
        break;
      }
      case 'UnaryExpression':
        if (node.operator === '+' && amount.test(text.slice(node.argument.start, node.argument.end)) && !converts.test(file)) say(node, 'a unary + makes a float of an amount; see lib/money.ts');
        break;
      case 'ImportDeclaration':
        if (others.test(node.source.value)) say(node, `${node.source.value}: components come from @mantine`);
        break;
    }
    for (const [key, value] of Object.entries(node)) {
      if (key !== 'type' && key !== 'parent') walk(value, node.type === 'JSXAttribute' ? 'attribute' : inside);
    }
  };
  walk(parseAst(text, { lang: file.endsWith('x') ? 'tsx' : 'ts', sourceType: 'module' }), '');
}

for (const folder of process.argv.slice(2)) {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    if (entry.isFile() && /\.tsx?$/.test(entry.name) && !/(^|\/)gen\//.test(file) && !/\.test\.tsx?$/.test(file)) look(file);
  }
}
const about = JSON.parse(readFileSync('package.json', 'utf8'));
for (const [name, version] of Object.entries({ ...about.dependencies, ...about.devDependencies })) {
  if (others.test(name)) problems.push(`package.json: ${name}: components come from @mantine`);
  if (!/^\d/.test(version)) problems.push(`package.json: ${name} ${version}: name one version`);
}
if (new Set(Object.entries(about.dependencies).filter(([name]) => name.startsWith('@mantine/')).map(([, version]) => version)).size > 1) {
  problems.push('package.json: all of @mantine has to be of one version');
}
if (/"resolved":/.test(readFileSync('package-lock.json', 'utf8'))) {
  problems.push('package-lock.json names the hosts that packages come from: run npm install with the .npmrc of this folder');
}
for (const one of problems) console.error(one);
process.exit(problems.length > 0 ? 1 : 0);
