import { expect, test } from 'vitest';
import { refuseFlags } from './up-steps.ts';

test.each([
  { set: [], want: undefined },
  { set: ['meshConfig.accessLogFile=/dev/stdout'], want: undefined },
  { set: ['profile=nope'], want: 'unknown profile "nope"' },
  { set: ['accessLogFile'], want: 'write it as key.path=value' },
])('up --set $set', ({ set, want }) => {
  const refusal = refuseFlags({ installMesh: true, set });
  if (want === undefined) expect(refusal).toBeUndefined();
  else expect(refusal).toContain(want);
});
