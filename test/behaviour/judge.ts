/** Compares what was seen with what a case expects. Returns sentences; none = as expected. */
import type { Call, Expectation, ReceivedRequest, Seen, TextMatch } from './case.ts';

/** Null = absent, `/…/` = regular expression, else equal. */
export function matchesText(expected: TextMatch, actual: string | undefined): boolean {
  if (expected === null) return actual === undefined || actual === '-';
  if (actual === undefined) return false;
  const text = String(expected);
  const regex = text.length > 1 && text.startsWith('/') && text.endsWith('/') ? new RegExp(text.slice(1, -1), 's') : undefined;
  return regex ? regex.test(actual) : actual === text;
}

class Findings {
  readonly problems: string[] = [];

  text(what: string, expected: TextMatch | undefined, actual: string | undefined): void {
    if (expected !== undefined && !matchesText(expected, actual)) this.problems.push(`${what}: expected ${JSON.stringify(expected)}, seen ${JSON.stringify(actual ?? null)}`);
  }

  texts(what: string, expected: Readonly<Record<string, TextMatch>> | undefined, actual: ReadonlyMap<string, string>): void {
    for (const [name, value] of Object.entries(expected ?? {})) this.text(`${what} ${name}`, value, actual.get(name.toLowerCase()));
  }

  count(what: string, expected: number | readonly [number, number], actual: number): void {
    const [least, most] = typeof expected === 'number' ? [expected, expected] : expected;
    if (actual < least || actual > most) this.problems.push(`${what}: expected ${least === most ? least : `${least} to ${most}`}, seen ${actual}`);
  }
}

/** Everything that can be said right after the call: answers and what backends received. */
export function judgeCall(call: Call, seen: readonly Seen[], received: readonly ReceivedRequest[]): string[] {
  const { expect } = call;
  const findings = new Findings();
  for (const one of seen) judgeAnswer(findings, expect, one);
  if (expect.backend !== undefined) {
    const wanted = [expect.backend].flat();
    if (received.length === 0) findings.problems.push(`backend: expected ${wanted.join(' or ')}, seen none${seen[0]?.error ? ` (${seen[0].error})` : ''}`);
    const others = received.filter((request) => !wanted.includes(request.backend));
    if (others.length > 0) findings.problems.push(`backend: expected ${wanted.join(' or ')}, seen ${others[0]!.backend}`);
  }
  if (expect.counts) {
    const counts = tally(received.map((request) => request.backend));
    for (const [name, wanted] of Object.entries(expect.counts)) findings.count(`requests at ${name}`, wanted, counts.get(name) ?? 0);
    for (const [name, count] of counts) if (!Object.hasOwn(expect.counts, name)) findings.problems.push(`requests at ${name}: expected none, seen ${count}`);
  }
  if (expect.statuses) {
    const counts = tally(seen.map((one) => String(one.status ?? 'none')));
    for (const [status, wanted] of Object.entries(expect.statuses)) findings.count(`answers ${status}`, wanted, counts.get(status) ?? 0);
    for (const [status, count] of counts) if (!Object.hasOwn(expect.statuses, status)) findings.problems.push(`answers ${status}: expected none, seen ${count}`);
  }
  if (expect.sticky && new Set(received.map((request) => request.backend)).size !== 1) findings.problems.push(`sticky: seen ${[...tally(received.map((request) => request.backend))].map((pair) => pair.join(' ')).join(', ')}`);
  if (expect.received) judgeReceived(findings, expect.received, received.at(-1));
  return [...new Set(findings.problems)];
}

function judgeAnswer(findings: Findings, expect: Expectation, seen: Seen): void {
  if (expect.status !== undefined && ![expect.status].flat().includes(seen.status ?? -1)) findings.problems.push(`status: expected ${String(expect.status)}, seen ${seen.status ?? 'none'}${seen.error ? ` (${seen.error})` : ''}${seen.body ? ` with ${JSON.stringify(seen.body.slice(0, 200))}` : ''}`);
  findings.text('body', expect.body, seen.body);
  findings.texts('header', expect.headers, seen.headers);
  findings.texts('trailer', expect.trailers, seen.trailers);
  if (expect.grpcStatus !== undefined) findings.text('grpc-status', String(expect.grpcStatus), seen.trailers.get('grpc-status') ?? seen.headers.get('grpc-status'));
  if (expect.closed !== undefined && expect.closed !== seen.closed) findings.problems.push(`closed: expected ${expect.closed}, seen ${seen.closed}${seen.error ? ` (${seen.error})` : ''}`);
  if (expect.durationMs) findings.count('duration in ms', expect.durationMs, Math.round(seen.durationMs));
  findings.text('certificate', expect.certificate, seen.certificate);
  findings.text('alpn', expect.alpn, seen.alpn);
}

function judgeReceived(findings: Findings, expect: NonNullable<Expectation['received']>, received: ReceivedRequest | undefined): void {
  if (!received) return void findings.problems.push('received: nothing came to a backend');
  for (const key of ['method', 'path', 'authority', 'version', 'body', 'client', 'alpn', 'sni'] as const) findings.text(`received ${key}`, expect[key], received[key]);
  findings.texts('received header', expect.headers, received.headers);
}

/** What the access log must say of a call. */
export function asksLog({ cluster, routeName, flags, details, log }: Expectation): boolean {
  return cluster !== undefined || routeName !== undefined || flags !== undefined || details !== undefined || log !== undefined;
}

/** Compares one line of the access log. */
export function judgeLog(expect: Expectation, line: Readonly<Record<string, unknown>> | undefined): string[] {
  if (!line) return ['access log: no line for this call'];
  const findings = new Findings();
  const read = (key: string): string | undefined => (line[key] === null || line[key] === undefined ? undefined : String(line[key]));
  findings.text('log upstream_cluster', expect.cluster, read('upstream_cluster')?.replace(/;$/, ''));
  findings.text('log route_name', expect.routeName, read('route_name'));
  findings.text('log response_flags', expect.flags, read('response_flags'));
  findings.text('log response_code_details', expect.details, read('response_code_details'));
  for (const [key, value] of Object.entries(expect.log ?? {})) findings.text(`log ${key}`, value, read(key));
  return findings.problems;
}

function tally(values: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}
