/**
 * The server is killed under write load, again and again on the same data: nothing that was acknowledged may be lost or go back. KILL_ROUNDS says how often
 * (default 5; the full run is 100).
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openPki, type Pki } from './auth/pki.ts';

const ROUNDS = Number(process.env['KILL_ROUNDS'] ?? 5);
const WRITERS = 8;
const PROGRAM = `
import { createApiServer } from './api-server.ts';
import { openPki } from './auth/pki.ts';
import { openLmdbStore } from './store/lmdb.ts';
const [, , pki, data] = process.argv;
const server = createApiServer({ store: openLmdbStore(data!), pki: openPki(pki!, { names: ['127.0.0.1'], nowMs: Date.now() }) });
await server.ready;
process.stdout.write(String(await server.listen({ host: '127.0.0.1', port: 0 })) + '\\n');
`;

let folder: string;
let pki: Pki;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kill-'));
  symlinkSync(join(import.meta.dirname, '../../../node_modules'), join(folder, 'node_modules'));
  mkdirSync(join(folder, 'data'));
  await build({
    stdin: { contents: PROGRAM, resolveDir: import.meta.dirname, loader: 'ts' }, outfile: join(folder, 'server.mjs'), bundle: true, platform: 'node', format: 'esm', target: 'node20', external: ['lmdb'], logLevel: 'error',
    banner: { js: "import { createRequire as __r } from 'node:module'; const require = __r(import.meta.url);" },
  });
  pki = openPki(join(folder, 'pki'), { names: ['127.0.0.1'], nowMs: Date.now() });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function start(): Promise<{ readonly child: ChildProcess; readonly port: number }> {
  const child = spawn(process.execPath, [join(folder, 'server.mjs'), join(folder, 'pki'), join(folder, 'data')], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return { child, port: Number(line.toString()) };
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

function ask(agent: Agent, port: number, method: string, path: string, body?: unknown): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' };
    const call = request({ host: '127.0.0.1', port, method, path, agent, headers, ca: pki.ca.certPem, cert: pki.admin.certPem, key: pki.admin.keyPem }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
      response.on('error', reject);
    });
    call.on('error', reject);
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

const MAPS = '/api/v1/namespaces/default/configmaps';

/** What one writer was told: the value of its counter, the objects it made and the ones it deleted. `trying` may or may not have happened. */
interface Ledger {
  value: number;
  trying: number;
  readonly made: Set<string>;
  readonly deleted: Set<string>;
  readonly unsure: Set<string>;
}

async function write(agent: Agent, port: number, name: string, ledger: Ledger): Promise<void> {
  for (;;) {
    ledger.trying = ledger.value + 1;
    const changed = await ask(agent, port, 'PATCH', `${MAPS}/${name}`, { data: { value: String(ledger.trying) } });
    if (changed.status !== 200) throw new Error(`${changed.status} ${changed.body}`);
    ledger.value = ledger.trying;
    const extra = `${name}-${ledger.value}`;
    ledger.unsure.add(extra);
    const made = await ask(agent, port, 'POST', MAPS, { metadata: { name: extra } });
    if (made.status !== 201) throw new Error(`${made.status} ${made.body}`);
    ledger.made.add(extra);
    ledger.unsure.delete(extra);
    if (ledger.value % 3 !== 0) continue;
    ledger.unsure.add(extra);
    const deleted = await ask(agent, port, 'DELETE', `${MAPS}/${extra}`);
    if (deleted.status !== 200) throw new Error(`${deleted.status} ${deleted.body}`);
    ledger.made.delete(extra);
    ledger.deleted.add(extra);
    ledger.unsure.delete(extra);
  }
}

async function check(agent: Agent, port: number, ledgers: ReadonlyMap<string, Ledger>): Promise<void> {
  const { items } = JSON.parse((await ask(agent, port, 'GET', MAPS)).body) as { items: { metadata: { name: string }; data?: { value: string } }[] };
  const stored = new Map(items.map((item) => [item.metadata.name, Number(item.data?.value)]));
  for (const [name, ledger] of ledgers) {
    const value = stored.get(name)!;
    expect(value === ledger.value || value === ledger.trying, `${name} is ${value}, acknowledged was ${ledger.value}`).toBe(true);
    ledger.value = value;
    expect([...ledger.made].filter((one) => !stored.has(one) && !ledger.unsure.has(one)), 'lost').toEqual([]);
    expect([...ledger.deleted].filter((one) => stored.has(one)), 'came back').toEqual([]);
    for (const one of ledger.unsure) (stored.has(one) ? ledger.made : ledger.deleted).add(one);
    for (const one of ledger.unsure) (stored.has(one) ? ledger.deleted : ledger.made).delete(one);
    ledger.unsure.clear();
  }
}

test(`${ROUNDS} kills under load lose nothing that was acknowledged`, async () => {
  const ledgers = new Map(Array.from({ length: WRITERS }, (_, index) => [`writer-${index}`, { value: 0, trying: 0, made: new Set<string>(), deleted: new Set<string>(), unsure: new Set<string>() }]));
  let acknowledged = 0;
  for (let round = 0; round <= ROUNDS; round++) {
    const { child, port } = await start();
    const agent = new Agent({ keepAlive: true, maxSockets: WRITERS });
    const ended = once(child, 'exit');
    if (round === 0) for (const name of ledgers.keys()) expect((await ask(agent, port, 'POST', MAPS, { metadata: { name }, data: { value: '0' } })).status).toBe(201);
    await check(agent, port, ledgers);
    // The last start only looks.
    const writers = round === ROUNDS ? [] : [...ledgers].map(([name, ledger]) => write(agent, port, name, ledger).catch(() => {}));
    await new Promise((resolve) => setTimeout(resolve, round === ROUNDS ? 0 : 100 + Math.random() * 200));
    child.kill('SIGKILL');
    await Promise.all([...writers, ended]);
    agent.destroy();
  }
  for (const { value, made } of ledgers.values()) acknowledged += value + made.size;
  expect(acknowledged).toBeGreaterThan(ROUNDS * WRITERS);
  process.stdout.write(`${ROUNDS} kills, ${acknowledged} acknowledged writes are all there\n`);
}, 20_000 + ROUNDS * 3000);
