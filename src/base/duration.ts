const UNITS_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1, us: 0.001, 'µs': 0.001, ns: 0.000_001 };

/**
 * Parses Go's and protobuf's duration text (`1h30m`, `0.5s`, `100ms`, `-1s`, `0`) to milliseconds, or undefined when it is not one.
 * @see https://pkg.go.dev/time#ParseDuration
 */
export function parseDurationMs(text: string): number | undefined {
  const match = /^([+-]?)((?:\d+(?:\.\d*)?|\.\d+)(?:h|ms|us|µs|ns|m|s))+$/.exec(text);
  if (!match) return text === '0' || text === '+0' || text === '-0' ? 0 : undefined;
  let totalMs = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d*)?|\.\d+)(h|ms|us|µs|ns|m|s)/g)) totalMs += Number(amount) * UNITS_MS[unit!]!;
  return match[1] === '-' ? -totalMs : totalMs;
}

/** Writes milliseconds as protobuf JSON does: seconds with up to nine decimals, `1.500s`. */
export function formatProtoDuration(ms: number): string {
  const text = (ms / 1000).toFixed(9).replace(/0+$/, '').replace(/\.$/, '');
  return `${text}s`;
}
