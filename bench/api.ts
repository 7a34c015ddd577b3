/** `npm run bench -- api`: what the embedded API server writes, lists, tells watchers, and how fast it is back after a restart. */
import { fork, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request, type Agent as HttpsAgent, Agent } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openPki, type Pki } from '../src/kube/server/auth/pki.ts';
import type { ApiReady } from './api-target.ts';
import { goalTable, percentile, type Goal } from './goals.ts';
import { cpuOf, memoryOf } from './process-stat.ts';

const OBJECTS = 10_000;
const WRITERS = 64;
const LISTS = 7;
const WATCHERS = 100;
const EVENTS_PER_SECOND = 1000;
const EVENT_SECONDS = 5;
/** Writes of one object follow each other; those of different ones share a commit. */
const CHANGING = 200;
const COLLECTION = '/api/v1/namespaces/bench/configmaps';
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The server and an administrator's way to it. */
class Api {
  private readonly agent: HttpsAgent;

  private constructor(readonly child: ChildProcess, readonly ready: ApiReady, private readonly pki: Pki, readonly startMs: number) {
    this.agent = new Agent({ keepAlive: true, maxSockets: WRITERS, ca: pki.ca.certPem, cert: pki.admin.certPem, key: pki.admin.keyPem });
  }

  static async start(home: string): Promise<Api> {
    const from = performance.now();
    const child = fork(join(import.meta.dirname, 'api-target.js'), [home], { stdio: 'inherit' });
    const ready = await new Promise<ApiReady>((resolve, reject) => {
      child.once('message', (message) => resolve(message as ApiReady));
      child.once('exit', (code) => reject(new Error(`the API server ended with ${code}`)));
    });
    return new Api(child, ready, openPki(join(home, 'pki'), { names: ['127.0.0.1', 'localhost'], nowMs: Date.now() }), performance.now() - from);
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** CPU so far, ms. */
  get cpuMs(): number {
    const { userMs, systemMs } = cpuOf(this.pid);
    return userMs + systemMs;
  }

  /** One request; resolves to the answer's head, whose body is to be read. */
  open(method: string, path: string, body?: object, agent: HttpsAgent | false = this.agent): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const ours = { ca: this.pki.ca.certPem, cert: this.pki.admin.certPem, key: this.pki.admin.keyPem };
      const call = request({ host: '127.0.0.1', port: this.ready.port, method, path, agent, ...ours, headers: { accept: 'application/json', ...(body && { 'content-type': 'application/json' }) } }, resolve);
      call.on('error', reject);
      call.end(body && JSON.stringify(body));
    });
  }

  /** Resolves to the length of the body. Rejects for a refusal. */
  async do(method: string, path: string, body?: object): Promise<number> {
    const answer = await this.open(method, path, body);
    let bytes = 0;
    const pieces: Buffer[] = [];
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if ((answer.statusCode ?? 500) >= 300) pieces.push(chunk);
    }
    if ((answer.statusCode ?? 500) >= 300) throw new Error(`${method} ${path}: ${answer.statusCode} ${Buffer.concat(pieces).toString().slice(0, 300)}`);
    return bytes;
  }

  async stop(): Promise<void> {
    this.agent.destroy();
    const ended = new Promise((resolve) => void this.child.once('exit', resolve));
    this.child.kill('SIGKILL');
    await ended;
  }
}

const configMap = (name: string, value = '', app = 'kept'): object => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'bench', labels: { app } }, data: { text: 'x'.repeat(200), value } });

/** Objects written per second by many writers, each waiting for its answers. */
async function write(api: Api): Promise<number> {
  await api.do('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'bench' } });
  const from = performance.now();
  let next = 0;
  await Promise.all(Array.from({ length: WRITERS }, async () => {
    while (next < OBJECTS) await api.do('POST', COLLECTION, configMap(`c-${next++}`));
  }));
  return (OBJECTS * 1000) / (performance.now() - from);
}

async function list(api: Api): Promise<{ readonly ms: number; readonly megabytes: number; readonly cpuMs: number }> {
  const times: number[] = [];
  const cpu = api.cpuMs;
  let bytes = 0;
  for (let index = 0; index < LISTS; index++) {
    const from = performance.now();
    bytes = await api.do('GET', COLLECTION);
    times.push(performance.now() - from);
  }
  return { ms: percentile(times, 50), megabytes: bytes / 1e6, cpuMs: (api.cpuMs - cpu) / LISTS };
}

interface WatchFigures {
  readonly wanted: number;
  readonly fewest: number;
  readonly most: number;
  readonly writtenPerSecond: number;
  readonly lastEventMs: number;
  readonly cpuPercent: number;
}

/** Watchers count lines: whoever has fewer than events were written has lost some. */
async function watch(api: Api): Promise<WatchFigures> {
  const counts = Array.from({ length: WATCHERS }, () => 0);
  let lastAt = 0;
  const streams = await Promise.all(counts.map(async (_, index) => {
    const stream = await api.open('GET', `${COLLECTION}?watch=true&labelSelector=app%3Dchanging`, undefined, false);
    stream.on('data', (chunk: Buffer) => {
      for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) counts[index]!++;
      lastAt = performance.now();
    });
    return stream;
  }));
  for (let index = 0; index < CHANGING; index++) await api.do('POST', COLLECTION, configMap(`changing-${index}`, '', 'changing'));
  const [from, cpu] = [performance.now(), api.cpuMs];
  const total = EVENTS_PER_SECOND * EVENT_SECONDS;
  const writes: Promise<number>[] = [];
  for (let sent = 0; sent < total; await pause(5)) {
    const due = Math.min(total, Math.floor(((performance.now() - from) * EVENTS_PER_SECOND) / 1000));
    for (; sent < due; sent++) writes.push(api.do('PUT', `${COLLECTION}/changing-${sent % CHANGING}`, configMap(`changing-${sent % CHANGING}`, String(sent), 'changing')));
  }
  await Promise.all(writes);
  const writtenAt = performance.now();
  const wanted = total + CHANGING;
  for (const deadline = performance.now() + 30_000; performance.now() < deadline && counts.some((count) => count < wanted); await pause(20));
  const figures = { wanted, fewest: Math.min(...counts), most: Math.max(...counts), writtenPerSecond: (total * 1000) / (writtenAt - from), lastEventMs: Math.max(0, lastAt - writtenAt), cpuPercent: ((api.cpuMs - cpu) * 100) / (lastAt - from) };
  for (const stream of streams) stream.destroy();
  return figures;
}

const option = process.argv.indexOf('--json');
const home = mkdtempSync(join(tmpdir(), 'api-bench-'));
try {
  const api = await Api.start(home);
  const perSecond = await write(api);
  const listed = await list(api);
  const watched = await watch(api);
  const memory = memoryOf(api.pid);
  await api.stop();
  const again = await Api.start(home);
  const from = performance.now();
  await again.do('GET', COLLECTION);
  const restartMs = again.startMs + performance.now() - from;
  await again.stop();
  const lost = watched.wanted - watched.fewest;
  const goals: readonly Goal[] = [
    { name: `list of ${OBJECTS} objects, ms`, goal: 300, value: listed.ms, met: listed.ms <= 300 },
    { name: `events lost by ${WATCHERS} watchers of ${EVENTS_PER_SECOND} events/s`, goal: 0, value: lost, met: lost === 0 && watched.most === watched.wanted },
    { name: `restart with ${OBJECTS} objects to the first list, ms`, goal: 2000, value: restartMs, met: restartMs <= 2000 },
  ];
  process.stdout.write(`| embedded API | result |\n|---|---|\n| written, ${WRITERS} writers, synced to disk | ${perSecond.toFixed(0)} objects/s |\n| list of ${OBJECTS} (${listed.megabytes.toFixed(1)} MB) | ${listed.ms.toFixed(0)} ms, ${listed.cpuMs.toFixed(0)} ms CPU |\n`);
  process.stdout.write(`| ${WATCHERS} watchers, ${EVENTS_PER_SECOND} events/s asked | ${watched.writtenPerSecond.toFixed(0)} events/s written, every watcher got ${watched.fewest}–${watched.most} of ${watched.wanted}, the last ${watched.lastEventMs.toFixed(0)} ms after the last write, ${watched.cpuPercent.toFixed(0)} % CPU |\n`);
  process.stdout.write(`| restart to the first list | ${restartMs.toFixed(0)} ms |\n| memory, peak | ${memory.rssMb.toFixed(0)}, ${memory.peakMb.toFixed(0)} MB |\n\n${goalTable(goals)}`);
  if (option >= 0) writeFileSync(process.argv[option + 1] ?? 'api.json', `${JSON.stringify({ perSecond, listed, watched, restartMs, memory, goals }, null, 2)}\n`);
} finally {
  rmSync(home, { recursive: true, force: true });
}
process.exit(0);
