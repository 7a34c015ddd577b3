import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { IdleTimer } from './idle-timer.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function watched(): { timer: IdleTimer; fired: () => number } {
  let count = 0;
  return { timer: new IdleTimer(() => void count++), fired: () => count };
}

test('calls back after the last use, not after the first', () => {
  const { timer, fired } = watched();
  timer.idle(1000);
  for (let round = 0; round < 5; round++) {
    vi.advanceTimersByTime(600);
    timer.busy();
    vi.advanceTimersByTime(100);
    timer.idle(1000);
  }
  expect(fired()).toBe(0);
  vi.advanceTimersByTime(999);
  expect(fired()).toBe(0);
  vi.advanceTimersByTime(2);
  expect(fired()).toBe(1);
});

test('never calls back while in use, stopped or without a limit', () => {
  const used = watched();
  used.timer.idle(1000);
  used.timer.busy();
  const stopped = watched();
  stopped.timer.idle(1000);
  stopped.timer.stop();
  stopped.timer.idle(1000);
  const endless = watched();
  endless.timer.idle(0);
  vi.advanceTimersByTime(10_000);
  expect([used.fired(), stopped.fired(), endless.fired()]).toEqual([0, 0, 0]);
  used.timer.idle(1000);
  vi.advanceTimersByTime(1001);
  expect(used.fired()).toBe(1);
});

test('takes a shorter limit at once', () => {
  const { timer, fired } = watched();
  timer.idle(60_000);
  timer.busy();
  timer.idle(1000);
  vi.advanceTimersByTime(1001);
  expect(fired()).toBe(1);
});
