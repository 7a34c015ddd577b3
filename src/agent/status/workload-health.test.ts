import { expect, test } from 'vitest';
import { VirtualClock } from '../../base/clock.ts';
import { parseWorkloadProbe, WorkloadHealth } from './workload-health.ts';

test('defaults are Kubernetes\'s, a probe without action is refused', () => {
  expect(parseWorkloadProbe(undefined)).toBeUndefined();
  expect(parseWorkloadProbe({ httpGet: { port: 80 } })).toMatchObject({ initialDelayMs: 0, timeoutMs: 1000, periodMs: 10_000, successThreshold: 1, failureThreshold: 3 });
  expect(() => parseWorkloadProbe({ periodSeconds: 5 })).toThrow(/needs httpGet/);
  expect(() => parseWorkloadProbe('x')).toThrow(/not a map/);
});

test('only changes are told, after as many answers in a row as the thresholds ask for', async () => {
  const clock = new VirtualClock();
  const told: (string | undefined)[] = [];
  let status = 200;
  const probe = parseWorkloadProbe({ initialDelaySeconds: 3, periodSeconds: 2, successThreshold: 2, failureThreshold: 2, tcpSocket: { port: 1 } })!;
  const health = new WorkloadHealth({ probe, address: '10.0.0.1', clock, onChange: (problem) => told.push(problem), ask: () => Promise.resolve({ status, text: `status ${status}` }) });
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await new Promise((resolve) => setImmediate(resolve));
  };
  await pass(2999);
  await pass(1);
  expect(told).toEqual([]);
  await pass(2000);
  await pass(2000);
  expect(told).toEqual([undefined]);
  status = 500;
  await pass(2000);
  status = 200;
  await pass(2000);
  status = 503;
  await pass(2000);
  expect(told).toEqual([undefined]);
  await pass(2000);
  await pass(2000);
  expect(told).toEqual([undefined, 'status 503']);
  status = 200;
  await pass(4000);
  await pass(2000);
  expect(told).toEqual([undefined, 'status 503', undefined]);
  health.close();
});

test('commands are run', async () => {
  const told: (string | undefined)[] = [];
  const health = new WorkloadHealth({ probe: parseWorkloadProbe({ exec: { command: ['sh', '-c', 'exit 3'] }, failureThreshold: 1 })!, address: '', clock: { now: () => 0, after: (ms, fn) => ((ms === 0 ? setTimeout(fn, 0) : undefined), { cancel: () => {} }) }, onChange: (problem) => told.push(problem) });
  await expect.poll(() => told.length).toBe(1);
  expect(told[0]).toMatch(/exit 3/);
  health.close();
});
