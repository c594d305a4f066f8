// The request as a program that a developer can run. The key comes from the environment.

import type { Pair } from './draft';

export interface Sample {
  method: string;
  /** Address of the gateway without a slash at the end. */
  gateway: string;
  /** Path and query. */
  path: string;
  headers: Pair[];
  body: string;
  key: string;
}

export const languages = ['curl', 'python', 'javascript', 'go', 'tollgate'] as const;
export type Language = (typeof languages)[number];

/** One argument of a POSIX shell. */
export const shell = (s: string) => (/^[\w@%+=:,./-]+$/.test(s) ? s : `'${s.replaceAll("'", `'\\''`)}'`);

/** A literal of JavaScript, and of Python and Go too: each reads what JSON writes here. */
export function literal(s: string): string {
  return JSON.stringify(s).replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

// Python and Go have no surrogate pairs in literals.
function pythonLiteral(s: string): string {
  return escaped(s, (p) => (p > 0xffff ? `\\U${p.toString(16).padStart(8, '0')}` : `\\u${p.toString(16).padStart(4, '0')}`));
}

function escaped(s: string, wide: (point: number) => string): string {
  let out = '';
  for (const c of s) {
    const p = c.codePointAt(0)!;
    out += p >= 0xd800 && p <= 0xdfff ? '\\ufffd' : p > 0x7e ? wide(p) : JSON.stringify(c).slice(1, -1);
  }
  return `"${out}"`;
}

function goLiteral(s: string): string {
  return /^[\t\n\x20-\x7e]*$/.test(s) && !s.includes('`') && /[\n"\\]/.test(s) ? `\`${s}\`` : pythonLiteral(s);
}

const carries = (s: Sample) => s.body !== '';

export function curl(s: Sample): string {
  const lines = [`curl -X ${shell(s.method)} ${shell(s.gateway + s.path)}`, `-H "Authorization: Bearer $TOLLGATE_KEY"`];
  for (const h of s.headers) lines.push(`-H ${shell(`${h.name}: ${h.value}`)}`);
  if (carries(s)) lines.push(`--data-raw ${shell(s.body)}`);
  return lines.join(' \\\n  ');
}

function tollgate(s: Sample): string {
  const lines = [`tollgate try ${shell(s.method)} ${shell(s.path)} --as ${shell(s.key)}`];
  for (const h of s.headers) lines.push(`-H ${shell(`${h.name}: ${h.value}`)}`);
  if (carries(s)) lines.push(`-d ${s.body.startsWith('@') || s.body === '-' ? `@- <<'BODY'\n${s.body}\nBODY` : shell(s.body)}`);
  return lines.join(' \\\n  ');
}

function python(s: Sample): string {
  const headers = [`    "Authorization": f"Bearer {os.environ['TOLLGATE_KEY']}",`, ...s.headers.map((h) => `    ${pythonLiteral(h.name)}: ${pythonLiteral(h.value)},`)];
  return `import os
import urllib.request

request = urllib.request.Request(
    ${pythonLiteral(s.gateway + s.path)},
    method=${pythonLiteral(s.method)},
    headers={
${headers.map((h) => `    ${h}`).join('\n')}
    },${carries(s) ? `\n    data=${pythonLiteral(s.body)}.encode(),` : ''}
)
with urllib.request.urlopen(request) as answer:
    print(answer.status, answer.headers["x-tollgate-cost"])
    print(answer.read().decode())
`;
}

function javascript(s: Sample): string {
  const headers = ['    Authorization: `Bearer ${process.env.TOLLGATE_KEY}`,', ...s.headers.map((h) => `    ${literal(h.name)}: ${literal(h.value)},`)];
  return `const answer = await fetch(${literal(s.gateway + s.path)}, {
  method: ${literal(s.method)},
  headers: {
${headers.join('\n')}
  },${carries(s) ? `\n  body: ${literal(s.body)},` : ''}
});
console.log(answer.status, answer.headers.get("x-tollgate-cost"));
console.log(await answer.text());
`;
}

function go(s: Sample): string {
  const headers = s.headers.map((h) => `\treq.Header.Set(${goLiteral(h.name)}, ${goLiteral(h.value)})\n`).join('');
  return `package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"${carries(s) ? '\n\t"strings"' : ''}
)

func main() {
	req, err := http.NewRequest(${goLiteral(s.method)}, ${goLiteral(s.gateway + s.path)}, ${carries(s) ? `strings.NewReader(${goLiteral(s.body)})` : 'nil'})
	if err != nil {
		log.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+os.Getenv("TOLLGATE_KEY"))
${headers}	res, err := http.DefaultClient.Do(req)
	if err != nil {
		log.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.Status, res.Header.Get("x-tollgate-cost"))
	fmt.Println(string(body))
}
`;
}

export function codeOf(language: Language, s: Sample): string {
  return { curl, python, javascript, go, tollgate }[language](s);
}
