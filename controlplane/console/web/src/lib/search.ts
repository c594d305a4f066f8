// The state of a page is its address. A page says which parameters it has, and everything else is dropped.

/** Reads one parameter; undefined leaves it out of the address. */
export type Reader<T> = (raw: string | undefined) => T | undefined;
type Shape = Record<string, Reader<unknown>>;
export type SearchOf<S extends Shape> = { [K in keyof S]?: Exclude<ReturnType<S[K]>, undefined> };

export const text: Reader<string> = (raw) => raw || undefined;
export const flag: Reader<boolean> = (raw) => (raw === '1' || raw === 'true' ? true : undefined);
export const words: Reader<string[]> = (raw) => {
  const out = (raw ?? '').split(',').filter(Boolean);
  return out.length ? out : undefined;
};
export const oneOf =
  <const T extends string>(...values: T[]): Reader<T> =>
  (raw) =>
    values.find((v) => v === raw);

/** A validator for a route. */
export function search<S extends Shape>(shape: S): (raw: Record<string, unknown>) => SearchOf<S> {
  return (raw) => {
    const out: Record<string, unknown> = {};
    for (const [name, read] of Object.entries(shape)) {
      const value = raw[name];
      const parsed = read(value === undefined ? undefined : Array.isArray(value) ? value.join(',') : value === true ? '1' : String(value));
      if (parsed !== undefined) out[name] = parsed;
    }
    return out as SearchOf<S>;
  };
}

export const parseSearch = (text: string): Record<string, string> => Object.fromEntries(new URLSearchParams(text));

export function stringifySearch(values: Record<string, unknown>): string {
  const out = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined || value === null || value === '' || value === false) continue;
    out.set(name, Array.isArray(value) ? value.join(',') : value === true ? '1' : String(value));
  }
  const text = out.toString().replaceAll('%2C', ',').replaceAll('%3A', ':').replaceAll('%2F', '/');
  return text ? `?${text}` : '';
}
