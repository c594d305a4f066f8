// Reads a curl command as vendors print it in their docs and browsers copy it. Nothing is sent anywhere.

import { type Words, words } from './shellwords';

export interface CurlHeader {
  name: string;
  value: string;
}

export interface Curl {
  method: string;
  /** Empty if there is none. */
  url: string;
  headers: CurlHeader[];
  body: string;
  /** Fields of a form with several parts. */
  form: string[];
  /** Words that mean nothing here, as they stand in the command. */
  ignored: string[];
  /** Whether a quote is not closed, so that the end may be missing. */
  cut: boolean;
}

// Flags that take a value, by what they mean here. Those without a meaning are told as ignored.
const meaning: Record<string, string> = {
  X: 'method', request: 'method', H: 'header', header: 'header', url: 'url',
  d: 'data', data: 'data', 'data-ascii': 'data', 'data-binary': 'data', 'data-raw': 'raw', 'data-urlencode': 'urlencode', json: 'json',
  u: 'user', user: 'user', 'oauth2-bearer': 'bearer', F: 'form', form: 'form', 'form-string': 'form',
  A: 'agent', 'user-agent': 'agent', e: 'referer', referer: 'referer', b: 'cookie', cookie: 'cookie', 'url-query': 'query',
};
const valued = new Set([
  'o', 'm', 'w', 'x', 'E', 'K', 'c', 'r', 'T', 'y', 'Y', 'z', 'C', 'D', 'U', 'P', 'Q', 't',
  'output', 'max-time', 'connect-timeout', 'write-out', 'retry', 'retry-delay', 'retry-max-time', 'proxy', 'proxy-user', 'cert', 'key', 'cacert',
  'capath', 'config', 'cookie-jar', 'range', 'upload-file', 'speed-limit', 'speed-time', 'time-cond', 'continue-at', 'dump-header', 'limit-rate',
  'max-redirs', 'resolve', 'connect-to', 'interface', 'ciphers', 'tls-max', 'cert-type', 'key-type', 'pass', 'output-dir', 'stderr', 'trace',
  'trace-ascii', 'unix-socket', 'abstract-unix-socket', 'dns-servers', 'local-port', 'max-filesize', 'noproxy', 'netrc-file', 'proto',
  'proto-default', 'pinnedpubkey', 'keepalive-time', 'expect100-timeout', 'aws-sigv4', 'variable', 'expand-data', 'rate', 'tls13-ciphers',
]);

/** Reads a command. What is no command of curl has no url. */
export function readCurl(text: string): Curl {
  const split = words(text);
  const r = new Reading(split);
  r.all();
  return r.result();
}

class Reading {
  private method = '';
  private url = '';
  private readonly headers: CurlHeader[] = [];
  private readonly data: { text: string; json: boolean }[] = [];
  private readonly query: string[] = [];
  private readonly form: string[] = [];
  private readonly ignored: string[] = [];
  private toQuery = false;
  private head = false;
  private at = 0;

  constructor(private readonly split: Words) {}

  all(): void {
    const list = this.split.words;
    if (/^(.*[\\/])?curl(\.exe)?$/i.test(list[0] ?? '')) this.at = 1;
    while (this.at < list.length) {
      const word = list[this.at++]!;
      if (word === '--') continue;
      if (word.startsWith('--')) this.flag(word.slice(2), word);
      else if (word.startsWith('-') && word.length > 1) this.short(word);
      else this.bare(word);
    }
    if (this.split.rest) this.ignored.push(this.split.rest);
  }

  private bare(word: string): void {
    if (!this.url) this.url = word;
    else this.ignored.push(word);
  }

  // "-sSX POST" and "-XPOST" are as good as "-s -S -X POST".
  private short(word: string): void {
    for (let i = 1; i < word.length; i++) {
      const flag = word[i]!;
      if (flag in meaning || valued.has(flag)) {
        const rest = word.slice(i + 1);
        this.value(flag, `-${flag}`, rest || this.split.words[this.at++]);
        return;
      }
      this.plain(flag, `-${flag}`);
    }
  }

  private flag(name: string, word: string): void {
    if (name in meaning || valued.has(name)) this.value(name, word, this.split.words[this.at++]);
    else this.plain(name, word);
  }

  private plain(name: string, word: string): void {
    if (name === 'G' || name === 'get') this.toQuery = true;
    else if (name === 'I' || name === 'head') this.head = true;
    else this.ignored.push(word);
  }

  private value(name: string, word: string, value: string | undefined): void {
    const kind = meaning[name];
    if (value === undefined || !kind) {
      this.ignored.push(value === undefined ? word : `${word} ${value}`);
      return;
    }
    const fromFile = value.startsWith('@') && ['data', 'json', 'header', 'query'].includes(kind);
    if (fromFile) {
      this.ignored.push(`${word} ${value}`);
      return;
    }
    switch (kind) {
      case 'method': this.method = value.toUpperCase(); break;
      case 'url': this.bare(value); break;
      case 'header': this.header(value, word); break;
      case 'data':
      case 'raw': this.data.push({ text: value, json: false }); break;
      case 'json': this.data.push({ text: value, json: true }); break;
      case 'urlencode': this.encoded(value, word); break;
      case 'query': this.query.push(value); break;
      case 'user': this.headers.push({ name: 'Authorization', value: `Basic ${base64(value.includes(':') ? value : `${value}:`)}` }); break;
      case 'bearer': this.headers.push({ name: 'Authorization', value: `Bearer ${value}` }); break;
      case 'form': this.form.push(value); break;
      case 'agent': this.headers.push({ name: 'User-Agent', value }); break;
      case 'referer': this.headers.push({ name: 'Referer', value }); break;
      case 'cookie': this.headers.push({ name: 'Cookie', value }); break;
    }
  }

  private header(line: string, word: string): void {
    const m = /^\s*([^:;\s]+)\s*([:;])\s*([\s\S]*?)\s*$/.exec(line);
    // "Name:" takes a header of curl's own away, and "Name;" sends one that is empty.
    if (!m || (m[2] === ':' && !m[3])) this.ignored.push(`${word} ${line}`);
    else this.headers.push({ name: m[1]!, value: m[2] === ';' ? '' : m[3]! });
  }

  private encoded(value: string, word: string): void {
    const m = /^([^=@]*)([=@])([\s\S]*)$/.exec(value);
    if (m?.[2] === '@') this.ignored.push(`${word} ${value}`);
    else if (!m) this.data.push({ text: encodeURIComponent(wellFormed(value)), json: false });
    else this.data.push({ text: (m[1] ? `${m[1]}=` : '') + encodeURIComponent(wellFormed(m[3]!)), json: false });
  }

  result(): Curl {
    const json = this.data.some((d) => d.json);
    let body = this.data.reduce((all, d) => all + (all && !d.json ? '&' : '') + d.text, '');
    const query = [...this.query];
    if (this.toQuery && body) {
      query.push(body);
      body = '';
    }
    const sends = body !== '' || this.data.length > 0 || this.form.length > 0;
    const method = this.method || (this.head ? 'HEAD' : sends && !this.toQuery ? 'POST' : 'GET');
    const has = (name: string) => this.headers.some((h) => h.name.toLowerCase() === name);
    const headers = [...this.headers];
    if (json && !has('content-type')) headers.push({ name: 'Content-Type', value: 'application/json' });
    if (json && !has('accept')) headers.push({ name: 'Accept', value: 'application/json' });
    let url = this.url;
    if (url && query.length) url += (url.includes('?') ? '&' : '?') + query.join('&');
    return { method, url, headers, body, form: this.form, ignored: this.ignored, cut: this.split.open };
  }
}

const wellFormed = (text: string) => text.replace(/[\ud800-\udfff]/gu, '\ufffd');
const base64 = (text: string) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

/** Headers that a client sends for itself: they belong to a request and not to an endpoint. */
const ofClients = /^(accept|accept-.*|content-type|content-length|content-encoding|user-agent|host|connection|origin|referer|cookie|cache-control|pragma|priority|dnt|upgrade-insecure-requests|sec-.*|transfer-encoding|expect|te)$/i;

export interface FromCurl {
  /** Scheme and host. */
  target: string;
  /** Path and query below it. */
  below: string;
  /** What every request needs. */
  headers: CurlHeader[];
  /** What this one needs. */
  requestHeaders: CurlHeader[];
}

/** Divides a command into what is the endpoint's and what is the request's; undefined without a URL. */
export function fromCurl(c: Curl): FromCurl | undefined {
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(c.url) ? c.url : c.url ? `https://${c.url}` : '';
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return undefined;
  }
  if (!/^https?:$/.test(url.protocol) || !url.hostname) return undefined;
  const headers = c.headers.filter((h) => !ofClients.test(h.name));
  if ((url.username || url.password) && !headers.some((h) => h.name.toLowerCase() === 'authorization')) {
    headers.push({ name: 'Authorization', value: `Basic ${base64(`${decoded(url.username)}:${decoded(url.password)}`)}` });
  }
  return {
    target: `${url.protocol}//${url.host}`,
    below: (url.pathname === '/' ? '' : url.pathname) + url.search,
    headers,
    requestHeaders: c.headers.filter((h) => ofClients.test(h.name)),
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
