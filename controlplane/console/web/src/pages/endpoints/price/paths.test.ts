import { describe, expect, it } from 'vitest';
import { meterPath, nameOf, unused } from './paths';

describe('paths of picked values', () => {
  it.each([
    [['meta', 'billed_units', 'search_units'], 'meta.billed_units.search_units'],
    [['results', 0, 'score'], 'results.0.score'],
    // What would part, select or modify in a path is marked.
    [['usage.total', 'a*b?'], 'usage\\.total.a\\*b\\?'],
    [['@this', '#', 'x|y'], '\\@this.\\#.x\\|y'],
    [['a b', 'c\\d'], 'a\\ b.c\\\\d'],
    [['größe', 'x-y', 'a:b'], 'größe.x-y.a:b'],
  ] as const)('%j is %s', (path, text) => {
    expect(meterPath([...path])).toBe(text);
  });

  it('names what is counted after the last name of its path', () => {
    expect(nameOf(['meta', 'billed_units', 'search_units'], [])).toBe('search_units');
    expect(nameOf(['usage', 'promptTokens'], [])).toBe('prompt_tokens');
    expect(nameOf(['data', 0, 1], [])).toBe('data');
    expect(nameOf([0], [])).toBe('count');
    expect(nameOf(['123'], [])).toBe('count');
    expect(nameOf(['x'.repeat(80)], [])).toHaveLength(28);
    expect(nameOf(['tokens'], ['tokens', 'tokens_2'])).toBe('tokens_3');
    expect(unused('a', [])).toBe('a');
  });
});
