// One object of an exported file.

/** The file with nothing in it but the object of that name. What has none is the file as it is. */
export function only(file: string, section: string, name: string): string {
  const lines = file.split('\n');
  const start = lines.indexOf(`${section}:`);
  if (start < 0) return file;
  const plain = (text: string) => text.trim().replace(/^(["'])(.*)\1$/, '$2');
  const first = lines.findIndex((l, i) => i > start && l.startsWith('  - name: ') && plain(l.slice(10)) === name);
  if (first < 0) return file;
  const rest = lines.findIndex((l, i) => i > first && l !== '' && !l.startsWith('   '));
  const end = rest < 0 ? lines.length : rest;
  const head = lines.filter((l, i) => i < start && (l.startsWith('# yaml-language-server') || l.startsWith('version:')));
  return `${[...head, lines[start], ...lines.slice(first, end)].join('\n').trimEnd()}\n`;
}
