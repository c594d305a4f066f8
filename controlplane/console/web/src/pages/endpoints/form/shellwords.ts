// Splits a command into words as a shell does: bash, or cmd of Windows where the command is written for it.

export interface Words {
  words: string[];
  /** What comes after the command: a pipe, a redirection, another command. */
  rest: string;
  /** Whether a quote is open at the end. */
  open: boolean;
}

export function words(text: string): Words {
  const one = text.replaceAll('\r\n', '\n').replace(/^\s*[$%>]\s+(?=curl)/i, '');
  // Only cmd ends lines with a caret, and only its copies have quotes after one.
  if (/\^(\n|")/.test(one)) return ofWindows(carets(one));
  // PowerShell ends lines with a backtick.
  return ofBash(one.replace(/`\n/g, ' '));
}

// What a command ends with, where it stands at the beginning of a word.
const ends = /^(\|\|?|&&?(?=\s|$)|;|[12]?>>?|<)/;

function ofBash(text: string): Words {
  const out: string[] = [];
  let word: string | undefined;
  let i = 0;
  while (i < text.length) {
    const c = text[i]!;
    if (/\s/.test(c)) {
      if (word !== undefined) out.push(word);
      word = undefined;
      i++;
    } else if (c === '\\') {
      if (text[i + 1] !== '\n') word = (word ?? '') + (text[i + 1] ?? '');
      i += 2;
    } else if (c === "'") {
      const close = text.indexOf("'", i + 1);
      word = (word ?? '') + text.slice(i + 1, close < 0 ? undefined : close);
      if (close < 0) return { words: [...out, word], rest: '', open: true };
      i = close + 1;
    } else if (c === '"' || (c === '$' && text[i + 1] === '"')) {
      const q = double(text, c === '$' ? i + 2 : i + 1);
      word = (word ?? '') + q.text;
      if (q.next < 0) return { words: [...out, word], rest: '', open: true };
      i = q.next;
    } else if (c === '$' && text[i + 1] === "'") {
      const q = ansi(text, i + 2);
      word = (word ?? '') + q.text;
      if (q.next < 0) return { words: [...out, word], rest: '', open: true };
      i = q.next;
    } else if (word === undefined && ends.test(text.slice(i))) {
      return { words: out, rest: text.slice(i).trim(), open: false };
    } else {
      word = (word ?? '') + c;
      i++;
    }
  }
  if (word !== undefined) out.push(word);
  return { words: out, rest: '', open: false };
}

function double(text: string, from: number): { text: string; next: number } {
  let out = '';
  for (let i = from; i < text.length; i++) {
    const c = text[i]!;
    if (c === '"') return { text: out, next: i + 1 };
    if (c === '\\' && i + 1 < text.length) {
      const next = text[++i]!;
      out += next === '\n' ? '' : '"\\$`'.includes(next) ? next : `\\${next}`;
    } else out += c;
  }
  return { text: out, next: -1 };
}

const letters: Record<string, string> = { n: '\n', t: '\t', r: '\r', a: '\x07', b: '\b', e: '\x1b', E: '\x1b', f: '\f', v: '\v' };

// $'…', in which browsers copy what has quotes or characters of other scripts in it.
function ansi(text: string, from: number): { text: string; next: number } {
  let out = '';
  let i = from;
  while (i < text.length) {
    const c = text[i]!;
    if (c === "'") return { text: out, next: i + 1 };
    if (c !== '\\') {
      out += c;
      i++;
      continue;
    }
    const rest = text.slice(i + 1, i + 10);
    const code = /^(?:x([0-9a-f]{1,2})|u([0-9a-f]{1,4})|U([0-9a-f]{1,8}))/i.exec(rest);
    const octal = /^[0-7]{1,3}/.exec(rest);
    if (code) {
      const n = parseInt(code[1] ?? code[2] ?? code[3]!, 16);
      out += n <= 0x10ffff ? String.fromCodePoint(n) : '\ufffd';
      i += 1 + code[0].length;
    } else if (octal) {
      out += String.fromCharCode(parseInt(octal[0], 8) & 0xff);
      i += 1 + octal[0].length;
    } else {
      const next = text[i + 1];
      out += next === undefined ? '' : (letters[next] ?? next);
      i += 2;
    }
  }
  return { text: out, next: -1 };
}

// Takes the carets away as cmd does before a program gets its line. Between quotes they stand for themselves.
function carets(text: string): string {
  let out = '';
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (c === '^' && !quoted && i + 1 < text.length) {
      i++;
      out += text[i] === '\n' ? ' ' : text[i];
    } else {
      if (c === '"') quoted = !quoted;
      out += c;
    }
  }
  return out;
}

// The rules by which programs of Windows split their line: a backslash means something only before a quote.
function ofWindows(text: string): Words {
  const out: string[] = [];
  let word: string | undefined;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (c === '\\') {
      let n = 1;
      while (text[i + n] === '\\') n++;
      const before = text[i + n] === '"';
      word = (word ?? '') + '\\'.repeat(before ? n >> 1 : n);
      i += n - 1;
      if (before && n % 2) {
        word += '"';
        i++;
      }
    } else if (c === '"') {
      word ??= '';
      if (quoted && text[i + 1] === '"') {
        word += '"';
        i++;
      } else quoted = !quoted;
    } else if (/\s/.test(c) && !quoted) {
      if (word !== undefined) out.push(word);
      word = undefined;
    } else if (word === undefined && !quoted && ends.test(text.slice(i))) {
      return { words: out, rest: text.slice(i).trim(), open: false };
    } else word = (word ?? '') + c;
  }
  if (word !== undefined) out.push(word);
  return { words: out, rest: '', open: quoted };
}
