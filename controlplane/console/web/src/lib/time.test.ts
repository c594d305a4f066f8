import { create, toJson } from '@bufbuild/protobuf';
import { TimestampSchema, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { expect, test } from 'vitest';
import { millis } from './time';

test('a time of the server, with a day more, can be sent back', () => {
  const end = create(TimestampSchema, { seconds: 1795448437n, nanos: 165_333_007 });
  const next = timestampFromMs(millis(end)! + 86_400_000);
  expect(toJson(TimestampSchema, next)).toBe('2026-11-24T15:40:37.165Z');
});
