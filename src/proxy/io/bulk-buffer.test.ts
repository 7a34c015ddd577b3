import { expect, test } from 'vitest';
import { releaseBulkBuffer, takeBulkBuffer } from './bulk-buffer.ts';

test('large buffers are for the first, and for the next when they are given back', () => {
  const taken = Array.from({ length: 70 }, takeBulkBuffer);
  expect(taken.filter(({ length }) => length === 262_144)).toHaveLength(64);
  expect(taken.filter(({ length }) => length === 65_536)).toHaveLength(6);
  for (const buffer of taken) releaseBulkBuffer(buffer);
  expect(takeBulkBuffer()).toHaveLength(262_144);
});
