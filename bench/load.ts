/** The load generators, bounded in time, and what they print. */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { percentile } from './goals.ts';

export interface LoadResult {
  readonly requests: number;
  readonly requestsPerSecond: number;
  readonly bytesPerSecond: number;
  /** Milliseconds; undefined when the generator does not say. */
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
  /** Answers other than 2xx and exchanges without an answer. */
  readonly errors: number;
}

export interface LoadRequest {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** A small message is sent (h2load); the target knows where it is. */
  readonly post?: boolean;
  /** Body file of a POST (h2load). */
  readonly dataFile?: string;
}

/** CPU the load and the backends run on; proxies have the other one. */
export const LOAD_CPU = '1';

/** Runs a command pinned to the load's CPU and gives its output; its own time limit is a few seconds above what it was asked to take. */
export function runLoad(command: string, args: readonly string[], seconds: number, started: (child: ChildProcess) => void = () => {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('taskset', ['-c', LOAD_CPU, command, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    started(child);
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const timer = setTimeout(() => child.kill('SIGKILL'), (seconds + 20) * 1000);
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      if (code === 0) resolve(text);
      else reject(new Error(`${command} ${args.join(' ')}: exit ${code}\n${text}`));
    });
  });
}

/** HTTP/1.1 with keep-alive (or not, by header). An interrupt of the process `started` gets ends it early, with a result. */
export async function wrk(request: LoadRequest, started?: (child: ChildProcess) => void): Promise<LoadResult> {
  const headers = Object.entries(request.headers ?? {}).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
  const text = await runLoad('wrk', ['-t1', `-c${request.connections}`, `-d${request.seconds}s`, '--latency', '--timeout', '5s', ...headers, request.url], request.seconds, started);
  const number = (pattern: RegExp) => Number(pattern.exec(text)?.[1] ?? 0);
  const socketErrors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)?.slice(1).map(Number) ?? [];
  return {
    requests: number(/(\d+) requests in/), requestsPerSecond: number(/Requests\/sec:\s+([\d.]+)/), bytesPerSecond: bytes(/Transfer\/sec:\s+([\d.]+\w*)/.exec(text)?.[1]),
    p50Ms: duration(/50%\s+([\d.]+\w+)/.exec(text)?.[1]), p99Ms: duration(/99%\s+([\d.]+\w+)/.exec(text)?.[1]),
    errors: number(/Non-2xx or 3xx responses: (\d+)/) + socketErrors.reduce((sum, count) => sum + count, 0),
  };
}

/** HTTP/2 with prior knowledge. */
export async function h2load(request: LoadRequest): Promise<LoadResult> {
  const headers = Object.entries(request.headers ?? {}).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
  const text = await runLoad('h2load', ['-t1', `-c${request.connections}`, '-m32', '-D', String(request.seconds), ...(request.dataFile ? ['-d', request.dataFile] : []), ...headers, request.url], request.seconds);
  const number = (pattern: RegExp) => Number(pattern.exec(text)?.[1] ?? 0);
  const succeeded = number(/, (\d+) succeeded/);
  return {
    requests: succeeded, requestsPerSecond: number(/finished in [^,]+, ([\d.]+) req\/s/), bytesPerSecond: 0, p50Ms: undefined, p99Ms: undefined,
    errors: number(/(\d+) failed/) + number(/, (\d+) 4xx/) + number(/, (\d+) 5xx/),
  };
}

/** HTTP/1.1 at a fixed rate, spread evenly over the connections, each request timed. `logFile` is written and removed. */
export async function steady(request: LoadRequest, ratePerSecond: number, logFile: string): Promise<LoadResult> {
  const headers = Object.entries(request.headers ?? {}).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
  rmSync(logFile, { force: true });
  await runLoad('h2load', ['-t1', '--h1', `-c${request.connections}`, `--rps=${ratePerSecond / request.connections}`, '-D', String(request.seconds), `--log-file=${logFile}`, ...headers, request.url], request.seconds);
  const lines = readFileSync(logFile, 'utf8').split('\n').filter((line) => line !== '').map((line) => line.split('\t').map(Number) as [start: number, status: number, us: number]);
  rmSync(logFile, { force: true });
  const times = lines.filter(([, status]) => status === 200).map(([, , us]) => us / 1000);
  if (times.length < (ratePerSecond * request.seconds) / 2) throw new Error(`only ${times.length} answers in ${request.seconds} s at ${ratePerSecond} requests per second`);
  return { requests: times.length, requestsPerSecond: times.length / request.seconds, bytesPerSecond: 0, p50Ms: percentile(times, 50), p99Ms: percentile(times, 99), errors: lines.length - times.length };
}

function duration(text: string | undefined): number | undefined {
  const match = /^([\d.]+)(us|ms|s|m)$/.exec(text ?? '');
  if (!match) return undefined;
  return Number(match[1]) * ({ us: 0.001, ms: 1, s: 1000, m: 60_000 }[match[2]!] ?? 1);
}

function bytes(text: string | undefined): number {
  const match = /^([\d.]+)(B|KB|MB|GB)$/.exec(text ?? '');
  return match ? Number(match[1]) * ({ B: 1, KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 }[match[2]!] ?? 1) : 0;
}
