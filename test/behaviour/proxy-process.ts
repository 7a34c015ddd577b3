/** A proxy under test: its process, its admin interface, its access log. */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import type { DataPlaneArguments } from './data-plane.ts';
import { OUTSIDE_NAMES } from './topology.ts';

/** A line of the access log. */
export type LogLine = Readonly<Record<string, unknown>>;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export class ProxyProcess {
  /** What it says on its error output. */
  readonly output: string[] = [];
  exited: string | undefined;
  private readonly child: ChildProcess;

  constructor(program: string, private readonly given: DataPlaneArguments) {
    mkdirSync(given.folder, { recursive: true });
    // A file, because Envoy opens /dev/stdout by name and cannot open the socket pair that node makes for `pipe`.
    const log = openSync(this.logPath, 'a');
    const hosts = join(given.folder, 'hosts');
    writeFileSync(hosts, `127.0.0.1 localhost\n${[...OUTSIDE_NAMES].map(([name, address]) => `${address} ${name}\n`).join('')}`);
    // Envoy's secrets come over a socket with a fixed path: every proxy gets a /run of its own, and names that can be looked up without a server.
    this.child = spawn('unshare', ['--mount', 'sh', '-c', 'mount -t tmpfs tmpfs /run && mount --bind "$0" /etc/hosts && exec "$@"', hosts, process.execPath, program, JSON.stringify(given)], { stdio: ['ignore', log, 'pipe'] });
    closeSync(log);
    this.readLines(this.child.stderr!);
    this.child.on('exit', (code, signal) => void (this.exited = signal ?? `code ${code}`));
  }

  /** Of the process that runs our proxy, or of the agent above Envoy. */
  get pid(): number {
    return this.child.pid ?? 0;
  }

  private get logPath(): string {
    return join(this.given.folder, 'access.log');
  }

  /** The access log so far; proxies write theirs once a second. */
  log(): LogLine[] {
    return readFileSync(this.logPath, 'utf8').split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as LogLine);
  }

  /** Resolves when it serves. Rejects when it does not within `waitMs`. */
  async ready(waitMs = 20_000): Promise<void> {
    for (const deadline = Date.now() + waitMs; Date.now() < deadline && this.exited === undefined; await pause(30)) if ((await this.ask('/ready').catch(() => '')).startsWith('LIVE')) return;
    throw new Error(`${this.given.proxy.name} is not ready (${this.exited ?? 'still running'})\n${this.output.slice(-30).join('\n')}`);
  }

  /** Text of an admin page. */
  ask(path: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const call = request({ host: '127.0.0.1', port: this.given.proxy.adminPort, path, agent: false, timeout: 5000 }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (text += chunk));
        response.on('end', () => resolve(text));
        response.on('error', reject);
      });
      call.on('error', reject);
      call.end();
    });
  }

  /** Value of a counter or gauge; 0 when nothing has counted yet. */
  async stat(name: string): Promise<number> {
    const text = await this.ask(`/stats?filter=${encodeURIComponent(`^${name.replace(/[.|*+?^$(){}[\]\\]/g, '\\$&')}$`)}`);
    return Number(/: (\d+)\s*$/m.exec(text)?.[1] ?? 0);
  }

  /** Waits until nothing new warms up. */
  async warm(): Promise<void> {
    for (const deadline = Date.now() + 5000; Date.now() < deadline; await pause(5)) {
      const text = await this.ask('/stats?filter=warming');
      if ([...text.matchAll(/warming[^:]*: (\d+)/g)].every((match) => match[1] === '0')) return;
    }
    throw new Error(`${this.given.proxy.name}: something stays warming`);
  }

  stop(): void {
    this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 1500);
    timer.unref();
  }

  private readLines(stream: NodeJS.ReadableStream): void {
    let rest = '';
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      this.output.push(...lines);
    });
  }
}

/** Folder of one proxy below the run's. */
export const folderOf = (root: string, name: string): string => join(root, name);
