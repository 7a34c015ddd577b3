/** `load`: bounded traffic with live numbers. */
import type { Command } from 'commander';
import { parseDurationMs } from '../../base/duration.ts';
import { LIMITS, runLoad, type LoadNumbers, type LoadOptions } from '../load/generator.ts';
import { formatOption, printData } from '../output.ts';
import { runtimeUrls } from '../runtime-urls.ts';

interface Flags {
  readonly qps: string;
  readonly duration: string;
  readonly connections: string;
  readonly requests: string;
  readonly header: readonly string[];
  readonly method: string;
  readonly timeout: string;
  readonly output?: 'json' | 'yaml';
  readonly home?: string;
}

export function addLoad(program: Command): void {
  program
    .command('load [url]')
    .description('Send a bounded stream of HTTP requests and show what comes back')
    .addHelpText('after', '\nWithout a URL it asks Bookinfo\'s product page through the ingress of the mesh on this machine.\nBounds that no flag lifts: one hour, 512 connections, 50000 requests per second.')
    .option('--qps <n>', 'requests per second, 0 = as fast as answers come', '10')
    .option('--duration <time>', 'how long, e.g. 30s, 5m', '30s')
    .option('--connections <n>', 'connections', '4')
    .option('--requests <n>', 'stop after so many requests, 0 = no such bound', '0')
    .option('-H, --header <name:value>', 'request header; may be repeated', (value: string, previous: readonly string[]) => [...previous, value], [])
    .option('--method <method>', 'request method', 'GET')
    .option('--timeout <time>', 'per request', '10s')
    .addOption(formatOption('print only the final numbers'))
    .action(async (url: string | undefined, flags: Flags) => {
      const target = url ?? runtimeUrls(flags.home)?.['productpage'];
      if (target === undefined) return fail('no URL given and no mesh runs on this machine: pass a URL, or run meltemi up');
      const options = toOptions(target, flags);
      if (typeof options === 'string') return fail(options);
      const controller = new AbortController();
      process.once('SIGINT', () => controller.abort());
      const live = flags.output === undefined;
      const numbers = await runLoad(options, (now) => live && process.stderr.write(`${process.stderr.isTTY ? '\r\x1b[K' : ''}${line(now)}${process.stderr.isTTY ? '' : '\n'}`), controller.signal);
      if (flags.output) printData(numbers, flags.output);
      else process.stdout.write(`${process.stderr.isTTY ? '\n' : ''}${report(numbers)}`);
      if (numbers.requests === numbers.errors && numbers.requests > 0) process.exitCode = 1;
    });
}

function fail(message: string): void {
  process.stderr.write(`Error: ${message}\n`);
  process.exitCode = 64;
}

function toOptions(target: string, flags: Flags): LoadOptions | string {
  const [durationMs, timeoutMs] = [parseDurationMs(flags.duration), parseDurationMs(flags.timeout)];
  const [qps, connections, requests] = [flags.qps, flags.connections, flags.requests].map(Number) as [number, number, number];
  if (!URL.canParse(target) || !target.startsWith('http://')) return `"${target}" is not an http:// URL`;
  if (durationMs === undefined || durationMs <= 0 || durationMs > LIMITS.maxDurationMs) return `--duration ${flags.duration}: a time up to 1h, e.g. 30s`;
  if (timeoutMs === undefined || timeoutMs <= 0) return `--timeout ${flags.timeout}: a time, e.g. 10s`;
  if (!(connections >= 1 && connections <= LIMITS.maxConnections)) return `--connections ${flags.connections}: 1 to ${LIMITS.maxConnections}`;
  if (!(qps >= 0 && qps <= LIMITS.maxRequestsPerSecond)) return `--qps ${flags.qps}: 0 to ${LIMITS.maxRequestsPerSecond}`;
  const headers: Record<string, string> = {};
  for (const header of flags.header) {
    const [, name, value] = /^([\w-]+):\s*(.*)$/.exec(header) ?? [];
    if (name === undefined) return `--header "${header}": write it as name:value`;
    headers[name] = value!;
  }
  return { url: new URL(target), requestsPerSecond: qps, connections, durationMs, maxRequests: requests || 0, method: flags.method.toUpperCase(), headers, timeoutMs };
}

function line(numbers: LoadNumbers): string {
  const statuses = Object.entries(numbers.statuses).map(([status, count]) => `${status}: ${count}`).join('  ');
  return `${numbers.seconds.toFixed(0)}s  ${numbers.requests} requests  ${numbers.perSecond.toFixed(1)}/s  ${statuses}${numbers.errors > 0 ? `  errors: ${numbers.errors}` : ''}  p50 ${numbers.latencyMs.p50} ms  p99 ${numbers.latencyMs.p99} ms`;
}

function report(numbers: LoadNumbers): string {
  const { latencyMs } = numbers;
  const statuses = Object.entries(numbers.statuses).map(([status, count]) => `  ${status}  ${count} (${((100 * count) / numbers.requests).toFixed(1)} %)\n`).join('');
  return `${numbers.requests} requests in ${numbers.seconds} s, ${numbers.perSecond} per second\n${statuses}${Object.entries(numbers.reasons).map(([reason, count]) => `  no answer  ${count}: ${reason}\n`).join('')}latency: p50 ${latencyMs.p50} ms, p90 ${latencyMs.p90} ms, p99 ${latencyMs.p99} ms, max ${latencyMs.max} ms\n`;
}
