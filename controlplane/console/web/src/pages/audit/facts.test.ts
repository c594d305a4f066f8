import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { AuditEntrySchema } from '@/gen/tollgate/control/v1/audit_pb';
import { filterOf, pageOf, undoOf } from './facts';

const entry = (action: string, revision: bigint, kind = 'endpoint') => create(AuditEntrySchema, { kind, action, revision, objectName: 'a b', objectId: 'ep_1' });
const at = (...revisions: bigint[]) => revisions.map((revision) => ({ revision, revertible: true }));

describe('undoing an entry', () => {
  it('goes back to the revision before it, and counts what came after', () => {
    expect(undoOf(entry('update', 38n), at(40n, 39n, 38n, 13n))).toEqual({ can: 'revert', to: 13n, since: 2 });
    expect(undoOf(entry('update', 39n), at(39n, 38n, 13n))).toEqual({ can: 'revert', to: 38n, since: 0 });
  });

  it('passes over a state that nothing can go back to', () => {
    const revisions = [...at(39n), { revision: 38n, revertible: false }, ...at(13n)];
    expect(undoOf(entry('update', 39n), revisions)).toEqual({ can: 'revert', to: 13n, since: 0 });
    expect(undoOf(entry('update', 39n), [{ revision: 38n, revertible: false }])).toEqual({ can: 'no', why: 'before' });
  });

  it('brings back what was deleted', () => {
    expect(undoOf(entry('delete', 41n), at(41n, 39n))).toEqual({ can: 'restore', to: 39n });
  });

  it('is not offered where there is nothing to go back to', () => {
    expect(undoOf(entry('create', 13n), at(13n))).toEqual({ can: 'no', why: 'create' });
    expect(undoOf(entry('update', 13n, 'budget'), [])).toEqual({ can: 'no', why: 'kind' });
    expect(undoOf(entry('try', 13n), at(13n, 12n))).toEqual({ can: 'no', why: 'read' });
  });
});

describe('the filter of the list', () => {
  it('is what the command line takes, with quotes where a value needs them', () => {
    expect(filterOf({ q: ' bria -action:create ', kind: 'endpoint', actor: 'token ci "x"' })).toBe('bria -action:create kind:endpoint actor:"token ci \\"x\\""');
    expect(filterOf({})).toBe('');
  });
});

it('leads to no page of what was deleted', () => {
  expect(pageOf(entry('update', 1n))).toBe('/endpoints/a%20b/overview');
  expect(pageOf(entry('delete', 1n))).toBeUndefined();
});
