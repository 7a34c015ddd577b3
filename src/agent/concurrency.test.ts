import { describe, expect, test } from 'vitest';
import { oneCoreNotice, resolveConcurrency } from './concurrency.ts';

test.each([
  ['the flag is strongest', '3', 2, '1', { workers: 3, source: '--concurrency' }],
  ['a flag of 0 says nothing', '0', 2, '4', { workers: 2, source: 'ProxyConfig' }],
  ['0 in ProxyConfig is every CPU, whatever the limit', undefined, 0, '4', { workers: 0, source: 'ProxyConfig' }],
  ['a number as text in ProxyConfig', undefined, '5', undefined, { workers: 5, source: 'ProxyConfig' }],
  ['else the CPU limit', undefined, undefined, '2', { workers: 2, source: 'CPU limit' }],
  ['nobody', undefined, undefined, undefined, { workers: 0, source: 'nobody' }],
  ['nonsense says nothing', 'many', -1, '2.5', { workers: 0, source: 'nobody' }],
  ['a fraction says nothing', undefined, 1.5, '', { workers: 0, source: 'nobody' }],
])('%s', (_, flag, configured, limit, expected) => expect(resolveConcurrency(flag, configured, limit)).toEqual(expected));

describe('what is said when one core is used', () => {
  test('with who asked and what to do', () => {
    const notice = oneCoreNotice({ workers: 4, source: 'ProxyConfig' }, 8);
    expect(notice).toContain('concurrency 4 of ProxyConfig asks for 4 workers');
    expect(notice).toContain('--data-plane envoy');
  });
  test('0 counts the machine', () => {
    expect(oneCoreNotice({ workers: 0, source: 'ProxyConfig' }, 2)).toContain('asks for 2 workers');
    expect(oneCoreNotice({ workers: 0, source: 'ProxyConfig' }, 1)).toBeUndefined();
  });
  test('nothing when one was asked for, or nobody asked', () => {
    expect(oneCoreNotice({ workers: 1, source: '--concurrency' }, 8)).toBeUndefined();
    expect(oneCoreNotice({ workers: 4, source: 'CPU limit' }, 8)).toBeUndefined();
    expect(oneCoreNotice({ workers: 0, source: 'nobody' }, 8)).toBeUndefined();
  });
});
