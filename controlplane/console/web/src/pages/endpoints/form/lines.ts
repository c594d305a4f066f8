// Headers and query parameters as lines of text: "name: value" or "name=value", with "default" or "remove" before the name.

import { create } from '@bufbuild/protobuf';
import { type Header, HeaderSchema, Mode, type QueryParameter, QueryParameterSchema } from '@/gen/tollgate/control/v1/endpoint_pb';
import { words } from './shellwords';

export type Kind = 'header' | 'query';
export type Row = Header | QueryParameter;
export type LineCode = 'lineForm' | 'lineName' | 'lineRemove';

/** The mode that a row has if none is said. */
export const usual = (kind: Kind) => (kind === 'header' ? Mode.SET : Mode.DEFAULT);
export const modeOf = (kind: Kind, row: Row) => (row.mode === Mode.UNSPECIFIED ? usual(kind) : row.mode);

export function row(kind: Kind, name: string, value: string, mode: Mode = usual(kind)): Row {
  return kind === 'header' ? create(HeaderSchema, { name, value, mode }) : create(QueryParameterSchema, { name, value, mode });
}

const wordOf: Partial<Record<Mode, string>> = { [Mode.SET]: 'set', [Mode.DEFAULT]: 'default', [Mode.REMOVE]: 'remove' };

export function print(kind: Kind, rows: readonly Row[]): string {
  return rows
    .map((r) => {
      const mode = modeOf(kind, r);
      if (mode === Mode.REMOVE) return `remove ${r.name}`;
      return `${mode === usual(kind) ? '' : `${wordOf[mode]} `}${r.name}${kind === 'header' ? ': ' : '='}${r.value}`;
    })
    .join('\n');
}

const headerName = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$/;

export function read(kind: Kind, text: string): { rows: Row[]; errors: { line: number; code: LineCode }[] } {
  const rows: Row[] = [];
  const errors: { line: number; code: LineCode }[] = [];
  text.split(/\r?\n/).forEach((raw, i) => {
    let line = raw.trim();
    if (!line || line.startsWith('#')) return;
    if (/^(-H|--header)(?=\s|['"$])/.test(line)) {
      const list = words(line.replace(/\s*[\\^`]$/, '').replace(/^(-H|--header)\s*/, '')).words;
      line = list.join(' ');
    }
    const mode = /^(set|default|remove)\s+(?=[^\s:=])/i.exec(line);
    const said = mode?.[1]?.toLowerCase();
    if (mode) line = line.slice(mode[0].length);
    if (said === 'remove') {
      if (/[:=]\s*\S/.test(line)) errors.push({ line: i + 1, code: 'lineRemove' });
      else rows.push(row(kind, line.replace(/[:=]\s*$/, '').trim(), '', Mode.REMOVE));
      return;
    }
    const at = line.indexOf(kind === 'header' ? ':' : '=');
    if (at < 0) {
      errors.push({ line: i + 1, code: 'lineForm' });
      return;
    }
    const name = line.slice(0, at).trim();
    if (!name || (kind === 'header' && !headerName.test(name))) {
      errors.push({ line: i + 1, code: 'lineName' });
      return;
    }
    rows.push(row(kind, name, line.slice(at + 1).trim(), said === 'set' ? Mode.SET : said === 'default' ? Mode.DEFAULT : usual(kind)));
  });
  return { rows, errors };
}
