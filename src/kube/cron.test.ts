import { expect, test } from 'vitest';
import { nextTime, parseSchedule, type Schedule } from './cron.ts';

const next = (text: string, after: string, zone?: string): string | undefined => {
  const ms = nextTime(parseSchedule(text) as Schedule, Date.parse(after), zone);
  return ms === undefined ? undefined : new Date(ms).toISOString().slice(0, 16);
};

test.each([
  ['*/5 * * * *', '2026-01-01T00:00:00Z', '2026-01-01T00:05'],
  ['*/5 * * * *', '2026-01-01T00:04:59Z', '2026-01-01T00:05'],
  ['5/15 * * * *', '2026-01-01T00:20:00Z', '2026-01-01T00:35'],
  ['@hourly', '2026-01-01T23:59:00Z', '2026-01-02T00:00'],
  ['0 9 * * mon-fri', '2026-01-02T10:00:00Z', '2026-01-05T09:00'],
  ['0 0 13 * fri', '2026-01-03T00:00:00Z', '2026-01-09T00:00'],
  ['0 0 29 feb *', '2026-01-01T00:00:00Z', '2028-02-29T00:00'],
  ['30 4 1,15 * *', '2026-01-01T05:00:00Z', '2026-01-15T04:30'],
])('%s after %s is %s', (text, after, expected) => expect(next(text, after)).toBe(expected));

test('in a time zone, past a clock change', () => {
  expect(next('0 9 * * *', '2026-01-01T00:00:00Z', 'America/New_York')).toBe('2026-01-01T14:00');
  expect(next('0 9 * * *', '2026-07-01T00:00:00Z', 'America/New_York')).toBe('2026-07-01T13:00');
  // 02:30 does not exist on 29 March 2026 in Berlin.
  expect(next('30 2 * * *', '2026-03-28T12:00:00Z', 'Europe/Berlin')).toBe('2026-03-30T00:30');
});

test('a day that never comes', () => expect(next('0 0 30 2 *', '2026-01-01T00:00:00Z')).toBeUndefined());

test.each([
  ['* * * *', 'expected exactly 5 fields, found 4: ["*","*","*","*"]'],
  ['60 * * * *', 'end of range (60) above maximum (59): 60'],
  ['* * 0 * *', 'beginning of range (0) below minimum (1): 0'],
  ['*/0 * * * *', 'step of range should be a positive number: */0'],
  ['5-1 * * * *', 'beginning of range (5) beyond end of range (1): 5-1'],
  ['@fortnightly', 'unrecognized descriptor: @fortnightly'],
  ['a * * * *', 'failed to parse int from a (minute)'],
])('%s is refused: %s', (text, why) => expect(parseSchedule(text)).toBe(why));
