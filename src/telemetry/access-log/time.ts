/** `%START_TIME(format)%`: strftime with Envoy's fractions, in UTC. */

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const two = (value: number): string => String(value).padStart(2, '0');

type Field = (date: Date, unixMs: number) => string;

const FIELDS: Readonly<Record<string, Field>> = {
  Y: (d) => String(d.getUTCFullYear()),
  y: (d) => two(d.getUTCFullYear() % 100),
  m: (d) => two(d.getUTCMonth() + 1),
  d: (d) => two(d.getUTCDate()),
  e: (d) => String(d.getUTCDate()).padStart(2, ' '),
  H: (d) => two(d.getUTCHours()),
  I: (d) => two(d.getUTCHours() % 12 || 12),
  M: (d) => two(d.getUTCMinutes()),
  S: (d) => two(d.getUTCSeconds()),
  p: (d) => (d.getUTCHours() < 12 ? 'AM' : 'PM'),
  b: (d) => MONTHS[d.getUTCMonth()]!,
  a: (d) => DAYS[d.getUTCDay()]!,
  j: (d) => String(Math.floor((d.getTime() - Date.UTC(d.getUTCFullYear(), 0, 1)) / 86_400_000) + 1).padStart(3, '0'),
  T: (d) => d.toISOString().slice(11, 19),
  F: (d) => d.toISOString().slice(0, 10),
  D: (d) => `${two(d.getUTCMonth() + 1)}/${two(d.getUTCDate())}/${two(d.getUTCFullYear() % 100)}`,
  z: () => '+0000',
  Z: () => 'UTC',
  s: (_, ms) => String(Math.floor(ms / 1000)),
  n: () => '\n',
  t: () => '\t',
  '%': () => '%',
};

/** Unix milliseconds to text; without a format ISO 8601 with milliseconds. Throws a text that names an unknown specifier. */
export function compileTime(format: string | undefined): (unixMs: number) => string {
  if (!format) return isoCached();
  const parts: (string | Field)[] = [];
  let last = 0;
  for (const match of format.matchAll(/%(?:([1-9]?)f|(.))/gs)) {
    parts.push(format.slice(last, match.index), match[2] === undefined ? fraction(Number(match[1] || 9)) : fieldOf(match[2]));
    last = match.index + match[0].length;
  }
  parts.push(format.slice(last));
  return (unixMs) => {
    const date = new Date(unixMs);
    return parts.map((part) => (typeof part === 'string' ? part : part(date, unixMs))).join('');
  };
}

function fieldOf(letter: string): Field {
  if (!Object.hasOwn(FIELDS, letter)) throw new Error(`unknown time specifier %${letter} in START_TIME`);
  return FIELDS[letter]!;
}

function fraction(digits: number): Field {
  return (_, unixMs) => Math.floor((unixMs - Math.floor(unixMs / 1000) * 1000) * 1e6).toString().padStart(9, '0').slice(0, digits);
}

/** Dates are dear: the text up to the second is kept. */
function isoCached(): (unixMs: number) => string {
  let second = -1;
  let prefix = '';
  return (unixMs) => {
    const whole = Math.floor(unixMs / 1000);
    if (whole !== second) {
      second = whole;
      prefix = new Date(whole * 1000).toISOString().slice(0, 20);
    }
    return `${prefix}${String(Math.floor(unixMs - whole * 1000)).padStart(3, '0')}Z`;
  };
}
