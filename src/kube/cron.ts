/** Schedules of CronJobs: five fields, names, steps, lists and `@daily`-like words. Pure. @see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax */

interface FieldRange {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  /** Words for numbers, the first one for `min`. */
  readonly words?: readonly string[];
}

const FIELDS: readonly FieldRange[] = [
  { name: 'minute', min: 0, max: 59 },
  { name: 'hour', min: 0, max: 23 },
  { name: 'day of month', min: 1, max: 31 },
  { name: 'month', min: 1, max: 12, words: ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'] },
  { name: 'day of week', min: 0, max: 6, words: ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] },
];
const WORDS: ReadonlyMap<string, string> = new Map([
  ['@yearly', '0 0 1 1 *'], ['@annually', '0 0 1 1 *'], ['@monthly', '0 0 1 * *'], ['@weekly', '0 0 * * 0'], ['@daily', '0 0 * * *'], ['@midnight', '0 0 * * *'], ['@hourly', '0 * * * *'],
]);

/** When to run: the allowed values of every field, in order. */
export interface Schedule {
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  readonly days: readonly number[];
  readonly months: readonly number[];
  readonly weekdays: readonly number[];
  /** A day must be right by month and by week when one of the two is `*`, else by either. */
  readonly bothDays: boolean;
}

/** Reads a schedule, or says what is wrong with it. */
export function parseSchedule(text: string): Schedule | string {
  const parts = (WORDS.get(text.trim().toLowerCase()) ?? text).trim().split(/\s+/);
  if (text.trim().startsWith('@') && parts.length === 1) return `unrecognized descriptor: ${text.trim()}`;
  if (parts.length !== FIELDS.length) return `expected exactly 5 fields, found ${parts.length}: ${JSON.stringify(parts)}`;
  const sets: number[][] = [];
  for (const [index, field] of FIELDS.entries()) {
    const values = parseField(parts[index]!, field);
    if (typeof values === 'string') return values;
    sets.push(values);
  }
  const [minutes, hours, days, months, weekdays] = sets as [number[], number[], number[], number[], number[]];
  const free = (part: string | undefined): boolean => part?.[0] === '*' || part?.[0] === '?';
  return { minutes, hours, days, months, weekdays, bothDays: free(parts[2]) || free(parts[4]) };
}

function parseField(text: string, field: FieldRange): number[] | string {
  const values = new Set<number>();
  for (const part of text.split(',')) {
    const [range = '', step, ...more] = part.split('/');
    if (more.length > 0) return `too many slashes: ${part}`;
    const bounds = parseRange(range, step !== undefined, field);
    if (typeof bounds === 'string') return bounds;
    const by = step === undefined ? 1 : Number(step);
    if (!Number.isInteger(by) || by <= 0) return `step of range should be a positive number: ${part}`;
    for (let value = bounds[0]; value <= bounds[1]; value += by) values.add(value);
  }
  return [...values].sort((a, b) => a - b);
}

function parseRange(text: string, stepped: boolean, field: FieldRange): readonly [number, number] | string {
  if (text === '*' || text === '?') return [field.min, field.max];
  const [from = '', to, ...more] = text.split('-');
  if (more.length > 0) return `too many hyphens: ${text}`;
  const first = parseValue(from, field);
  if (typeof first === 'string') return first;
  // `5/15` is `5-59/15`.
  const last = to === undefined ? (stepped ? field.max : first) : parseValue(to, field);
  if (typeof last === 'string') return last;
  return first > last ? `beginning of range (${first}) beyond end of range (${last}): ${text}` : [first, last];
}

function parseValue(text: string, { name, min, max, words }: FieldRange): number | string {
  const word = words?.indexOf(text.toLowerCase()) ?? -1;
  if (word >= 0) return min + word;
  if (!/^\d+$/.test(text)) return `failed to parse int from ${text} (${name})`;
  const value = Number(text);
  if (value < min) return `beginning of range (${value}) below minimum (${min}): ${text}`;
  return value > max ? `end of range (${value}) above maximum (${max}): ${text}` : value;
}

const DAY_MS = 86_400_000;
/** The longest wait is for a leap day across a century: eight years. */
const MAX_DAYS = 8 * 366;

/** The first time after `afterMs` that a schedule names, in milliseconds; undefined when there is none (30 February). Default time zone: UTC. */
export function nextTime(schedule: Schedule, afterMs: number, timeZone = 'UTC'): number | undefined {
  const offset = offsetOf(timeZone);
  const startDay = Math.floor((afterMs + offset(afterMs)) / DAY_MS) * DAY_MS;
  for (let index = 0; index < MAX_DAYS; index++) {
    // The zone's calendar day, written down as if it were UTC.
    const day = startDay + index * DAY_MS;
    if (!dayMatches(schedule, new Date(day))) continue;
    for (const hour of schedule.hours) {
      for (const minute of schedule.minutes) {
        const local = day + (hour * 60 + minute) * 60_000;
        const time = local - offset(local - offset(local));
        // Clocks that are put forward skip some times: those never come.
        if (time > afterMs && time + offset(time) === local) return time;
      }
    }
  }
  return undefined;
}

function dayMatches(schedule: Schedule, date: Date): boolean {
  if (!schedule.months.includes(date.getUTCMonth() + 1)) return false;
  const byMonth = schedule.days.includes(date.getUTCDate());
  const byWeek = schedule.weekdays.includes(date.getUTCDay());
  return schedule.bothDays ? byMonth && byWeek : byMonth || byWeek;
}

/** How far a zone's clocks are ahead of UTC at a time, in milliseconds. */
function offsetOf(timeZone: string): (ms: number) => number {
  if (timeZone === 'UTC') return () => 0;
  const format = new Intl.DateTimeFormat('en-US', { timeZone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' });
  return (ms) => {
    const parts = new Map(format.formatToParts(ms).map(({ type, value }) => [type, Number(value)]));
    const local = Date.UTC(parts.get('year')!, parts.get('month')! - 1, parts.get('day')!, parts.get('hour')!, parts.get('minute')!, parts.get('second')!);
    return local - Math.floor(ms / 1000) * 1000;
  };
}
