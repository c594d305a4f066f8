import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { ConfigChangeSchema } from '@/gen/tollgate/control/v1/config_pb';
import { NodeSchema } from '@/gen/tollgate/control/v1/system_pb';
import { known, refers, variablesOf } from './environment';

const node = (id: string, revision: bigint, missingEnv: string[] = []) => create(NodeSchema, { id, revision, missingEnv });

describe('the environment that a plan needs', () => {
  it('is every name once, wherever in a value it stands', () => {
    const changes = [
      create(ConfigChangeSchema, { fields: [{ path: 'headers.a', after: 'bearer ${env:COHERE_API_KEY}' }, { path: 'headers.b', after: '${secret:x} ${env:A_1}-${env:COHERE_API_KEY}' }] }),
      create(ConfigChangeSchema, { fields: [{ path: 'headers.c', before: '${env:GONE}', after: 'plain' }] }),
    ];
    expect(variablesOf(changes)).toEqual(['A_1', 'COHERE_API_KEY']);
  });

  it('is missing where an edge says so, whatever others have', () => {
    expect(known('X', [node('a', 5n), node('b', 5n, ['X'])], true, 5n)).toEqual({ state: 'missing', nodes: ['b'] });
  });

  it('is not called set while nothing refers to it, or an edge is behind', () => {
    expect(known('X', [node('a', 5n)], false, 5n)).toEqual({ state: 'unknown' });
    expect(known('X', [node('a', 5n), node('b', 4n)], true, 5n)).toEqual({ state: 'unknown' });
    expect(known('X', [node('a', 5n), node('b', 6n)], true, 5n)).toEqual({ state: 'set', n: 2 });
    expect(known('X', [], true, 5n)).toEqual({ state: 'none' });
  });

  it('is referred to by its whole name only', () => {
    expect(refers('headers: {a: "${env:TOKEN_2}"}', 'TOKEN')).toBe(false);
    expect(refers('headers: {a: "${env:TOKEN}"}', 'TOKEN')).toBe(true);
  });
});
