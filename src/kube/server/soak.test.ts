/**
 * A foreign client over restarts: informers and a watch of `@kubernetes/client-node` while objects are written and the server is stopped and killed.
 * Every object is seen once, in order. SOAK_SECONDS says how long (default 8).
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once, setMaxListeners } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CoreV1Api, KubeConfig, makeInformer, Watch, type V1ConfigMap } from '@kubernetes/client-node';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { kubeconfigOf, openPki, type Pki } from './auth/pki.ts';

const SECONDS = Number(process.env['SOAK_SECONDS'] ?? 8);
const RESTART_EVERY_MS = 1500;
const PATH = '/api/v1/namespaces/default/configmaps';
const PROGRAM = `
import { createApiServer } from './api-server.ts';
import { openPki } from './auth/pki.ts';
import { openLmdbStore } from './store/lmdb.ts';
const [, , pki, data, port] = process.argv;
const server = createApiServer({ store: openLmdbStore(data!), pki: openPki(pki!, { names: ['127.0.0.1'], nowMs: Date.now() }) });
await server.ready;
process.stdout.write(String(await server.listen({ host: '127.0.0.1', port: Number(port) })) + '\\n');
process.on('SIGTERM', () => void server.close().then(() => process.exit(0)));
`;

let folder: string;
let pki: Pki;
let child: ChildProcess;
let port = 0;
let config: KubeConfig;

async function start(): Promise<void> {
  child = spawn(process.execPath, [join(folder, 'server.mjs'), join(folder, 'pki'), join(folder, 'data'), String(port)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout!, 'data')) as [Buffer];
  port = Number(line.toString());
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'soak-'));
  symlinkSync(join(import.meta.dirname, '../../../node_modules'), join(folder, 'node_modules'));
  mkdirSync(join(folder, 'data'));
  await build({
    stdin: { contents: PROGRAM, resolveDir: import.meta.dirname, loader: 'ts' }, outfile: join(folder, 'server.mjs'), bundle: true, platform: 'node', format: 'esm', target: 'node20', external: ['lmdb'], logLevel: 'error',
    banner: { js: "import { createRequire as __r } from 'node:module'; const require = __r(import.meta.url);" },
  });
  pki = openPki(join(folder, 'pki'), { names: ['127.0.0.1'], nowMs: Date.now() });
  await start();
  config = new KubeConfig();
  config.loadFromString(kubeconfigOf(pki, `https://127.0.0.1:${port}`));
}, 30_000);
afterAll(() => {
  child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

/** What one client saw of each object. */
interface Sight {
  added: number;
  deleted: number;
  readonly values: number[];
}

class Seen {
  readonly objects = new Map<string, Sight>();
  readonly wrong: string[] = [];

  of(name: string): Sight {
    let sight = this.objects.get(name);
    if (!sight) this.objects.set(name, (sight = { added: 0, deleted: 0, values: [] }));
    return sight;
  }

  note(kind: 'add' | 'update' | 'delete', { metadata, data }: V1ConfigMap): void {
    const sight = this.of(metadata!.name!);
    const value = Number(data!['n']);
    const last = sight.values.at(-1) ?? -1;
    if (kind === 'add' && ++sight.added > 1) this.wrong.push(`${metadata!.name} added twice`);
    if (kind === 'delete' && ++sight.deleted > 1) this.wrong.push(`${metadata!.name} deleted twice`);
    if (kind !== 'delete' && sight.deleted > 0) this.wrong.push(`${metadata!.name} came back`);
    if (kind !== 'delete' && value <= last) this.wrong.push(`${metadata!.name} went from ${last} to ${value}`);
    if (kind !== 'delete') sight.values.push(value);
  }
}

function inform(api: CoreV1Api, over: AbortSignal): Seen {
  const seen = new Seen();
  const informer = makeInformer<V1ConfigMap>(config, PATH, () => api.listNamespacedConfigMap({ namespace: 'default' }));
  informer.on('add', (object) => seen.note('add', object));
  informer.on('update', (object) => seen.note('update', object));
  informer.on('delete', (object) => seen.note('delete', object));
  // It ends with every error; its users start it again.
  informer.on('error', () => void (over.aborted || setTimeout(() => void informer.start(), 50)));
  over.addEventListener('abort', () => void informer.stop());
  void informer.start();
  return seen;
}

/** A bare watch that goes on from the last version: versions only grow, and after a 410 it lists. */
async function follow(api: CoreV1Api, over: AbortSignal, wrong: string[]): Promise<void> {
  let version = '';
  while (!over.aborted) {
    try {
      if (version === '') version = (await api.listNamespacedConfigMap({ namespace: 'default' })).metadata!.resourceVersion!;
      await new Promise<void>((resolve) => {
        void new Watch(config).watch(PATH, { resourceVersion: version, allowWatchBookmarks: true }, (type, object: V1ConfigMap) => {
          const next = object.metadata!.resourceVersion!;
          if (Number(next) < Number(version) || (type !== 'BOOKMARK' && next === version)) wrong.push(`${type} of version ${next} after ${version}`);
          version = next;
        }, (error: { readonly statusCode?: number } | null) => {
          if (error?.statusCode === 410) version = '';
          resolve();
        }).then((controller) => over.addEventListener('abort', () => controller.abort()), () => resolve());
      });
    } catch {
      // The server is away.
    }
    await sleep(50);
  }
}

/** Tries until the server has answered; `done` tells an answer that means "it happened before". */
async function surely(call: () => Promise<unknown>, done: number): Promise<void> {
  for (;;) {
    try {
      return void (await call());
    } catch (thrown) {
      if ((thrown as { readonly code?: unknown }).code === done) return;
      await sleep(20);
    }
  }
}

/** Makes objects, changes each twice, and deletes every third. Returns the names that stay. */
async function write(api: CoreV1Api, prefix: string, untilMs: number): Promise<string[]> {
  const staying: string[] = [];
  const namespace = 'default';
  for (let index = 0; Date.now() < untilMs; index++) {
    const name = `${prefix}-${index}`;
    const body = (n: number): V1ConfigMap => ({ metadata: { name }, data: { n: String(n) } });
    await surely(() => api.createNamespacedConfigMap({ namespace, body: body(0) }), 409);
    for (const n of [1, 2]) await surely(() => api.replaceNamespacedConfigMap({ namespace, name, body: body(n) }), 0);
    if (index % 3 === 2) await surely(() => api.deleteNamespacedConfigMap({ namespace, name }), 404);
    else staying.push(name);
  }
  return staying;
}

test(`informers and watches of the official client over ${SECONDS} s of restarts`, async () => {
  const api = config.makeApiClient(CoreV1Api);
  const over = new AbortController();
  setMaxListeners(0, over.signal);
  const wrong: string[] = [];
  const informers = [inform(api, over.signal), inform(api, over.signal), inform(api, over.signal)];
  const following = follow(api, over.signal, wrong);
  const untilMs = Date.now() + SECONDS * 1000;
  const writing = Promise.all(['a', 'b', 'c', 'd'].map((prefix) => write(api, prefix, untilMs)));
  let restarts = 0;
  while (Date.now() < untilMs - RESTART_EVERY_MS) {
    await sleep(RESTART_EVERY_MS);
    const ended = once(child, 'exit');
    child.kill(restarts++ % 2 === 0 ? 'SIGKILL' : 'SIGTERM');
    await ended;
    await start();
  }
  const staying = (await writing).flat();
  const kept = new Set(staying);
  const unfinished = ({ objects }: Seen): string[] => [...staying.filter((name) => objects.get(name)?.values.at(-1) !== 2), ...[...objects].filter(([name, sight]) => !kept.has(name) && sight.deleted === 0).map(([name]) => name)];
  for (let tries = 0; tries < 200 && informers.some((seen) => unfinished(seen).length > 0); tries++) await sleep(50);
  over.abort();
  await following;
  expect(restarts).toBeGreaterThan(0);
  expect(staying.length).toBeGreaterThan(8);
  for (const seen of informers) {
    expect(seen.wrong).toEqual([]);
    expect(staying.filter((name) => seen.of(name).added !== 1 || seen.of(name).deleted !== 0 || seen.of(name).values.at(-1) !== 2)).toEqual([]);
    expect(unfinished(seen)).toEqual([]);
  }
  expect(wrong).toEqual([]);
}, SECONDS * 1000 + 30_000);
