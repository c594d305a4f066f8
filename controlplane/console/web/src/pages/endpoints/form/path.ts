// Paths of endpoints as people type them, and names that follow from them.

export type PathNote = 'gateway' | 'slashAdded' | 'slashesJoined' | 'slashDropped';

/** The path that is meant, and what was changed about it. */
export function normalPath(text: string, gateway = ''): { path: string; notes: PathNote[] } {
  const notes: PathNote[] = [];
  let path = text.trim();
  const base = gateway.replace(/\/+$/, '');
  if (base && path.toLowerCase().startsWith(base.toLowerCase()) && /^(\/|$)/.test(path.slice(base.length))) {
    path = path.slice(base.length);
    notes.push('gateway');
  }
  if (!path) return { path: '', notes };
  if (!path.startsWith('/')) {
    path = `/${path}`;
    notes.push('slashAdded');
  }
  // What comes after ? or # is not a path, and is refused as a whole.
  const end = path.search(/[?#]/);
  const [own, rest] = end < 0 ? [path, ''] : [path.slice(0, end), path.slice(end)];
  let next = own.replace(/\/{2,}/g, '/');
  if (next !== own) notes.push('slashesJoined');
  if (next.length > 1 && next.endsWith('/')) {
    next = next.slice(0, -1);
    notes.push('slashDropped');
  }
  return { path: next + rest, notes };
}

const slug = (text: string) => text.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 63).replace(/-+$/, '');

/** A name for an endpoint at a path, without segments that only say the version. */
export function nameOfPath(path: string): string {
  const segments = path.replace(/[?#].*$/, '').split('/').filter(Boolean);
  const told = segments.filter((s) => !/^(v\d+([a-z]+\d*)?|api)$/i.test(s));
  return slug((told.length ? told : segments).join('-'));
}

/** A name for a vendor by its host: "bria" for engine.prod.bria-api.com. */
export function nameOfHost(host: string): string {
  const bare = host.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  if (/^[\d.]+$|:/.test(bare)) return slug(bare);
  const labels = bare.split('.').filter(Boolean);
  const short = labels.length > 2 && labels.at(-1)!.length === 2 && /^(co|com|net|org|ac|gov)$/.test(labels.at(-2)!);
  const label = labels.length < 2 ? labels[0] : labels.at(short ? -3 : -2);
  return slug((label ?? '').replace(/^api-|-apis?$|(?<=.{3})apis?$/i, ''));
}
