/** Which of the two networks a cluster gets, and why: namespaces where the machine allows them, loopback addresses elsewhere. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { addressPlan, LOOPBACK_BASES } from '../loopback/address-plan.ts';
import { nativeClasses } from '../loopback/preload/tcp.ts';
import { API_PORT, networkOf, type NetworkKind, type PrivilegeMode } from '../settings.ts';
import type { StateDir } from '../state-dir.ts';
import { checkMachine, findTool, type CheckResult, type Obstacle } from './checks.ts';

/** What `--network` may say. */
export const NETWORK_CHOICES = ['auto', 'netns', 'loopback'] as const;
export type NetworkChoice = (typeof NETWORK_CHOICES)[number];

export interface ChosenNetwork {
  readonly mode: PrivilegeMode;
  /** A sentence for the user. */
  readonly why: string;
  /** Loopback only: second octet of the ranges. */
  readonly base?: number;
  /** Lowest port this user may open; 0: all. */
  readonly firstPort: number;
}

export type NetworkResult = { readonly ok: true; readonly network: ChosenNetwork } | { readonly ok: false; readonly obstacles: readonly Obstacle[] };

/** What stored objects are tied to: their addresses. */
interface Remembered {
  readonly network: NetworkKind;
  readonly base?: number;
}

/** Chooses, and remembers the choice for as long as objects are stored. `check` is replaced by tests. */
export async function chooseNetwork(choice: NetworkChoice, dir: StateDir, check: () => Promise<CheckResult> = checkMachine): Promise<NetworkResult> {
  const before = existsSync(dir.data) ? remembered(dir) : undefined;
  const wanted = choice === 'auto' && before?.network === 'loopback' ? 'loopback' : choice;
  if (before && wanted !== 'auto' && wanted !== before.network) return refuse(`the objects kept in ${dir.data} have addresses of the ${before.network} network`, `start with --network ${before.network}, or remove them first: meltemi down`);
  const machine = wanted === 'loopback' ? undefined : await check();
  if (machine?.ok) return remember(dir, { mode: machine.mode, why: machine.why, firstPort: 0 });
  if (machine && (wanted === 'netns' || before?.network === 'netns')) return machine;
  const loopback = await openLoopback(before?.base);
  if ('what' in loopback) return { ok: false, obstacles: [...(machine?.obstacles ?? []), loopback] };
  const why = machine ? `no namespaces here: ${machine.obstacles[0]?.what ?? 'unknown'}; "meltemi doctor" says how to get them` : choice === 'auto' ? 'as the kept objects were made with' : 'asked for';
  return remember(dir, { mode: 'unprivileged', why, ...loopback });
}

function refuse(what: string, fix: string): NetworkResult {
  return { ok: false, obstacles: [{ what, fix }] };
}

function remembered(dir: StateDir): Remembered | undefined {
  try {
    const found = JSON.parse(readFileSync(join(dir.home, 'network.json'), 'utf8')) as Remembered;
    return found.network === 'netns' || found.network === 'loopback' ? found : undefined;
  } catch {
    return undefined;
  }
}

function remember(dir: StateDir, network: ChosenNetwork): NetworkResult {
  mkdirSync(dir.home, { recursive: true, mode: 0o700 });
  const memory: Remembered = { network: networkOf(network.mode), ...(network.base === undefined ? {} : { base: network.base }) };
  writeFileSync(join(dir.home, 'network.json'), `${JSON.stringify(memory)}\n`);
  return { ok: true, network };
}

/** Looks for ranges of 127.0.0.0/8 that no other cluster uses; `wanted`: the ones kept objects have. */
export async function openLoopback(wanted?: number): Promise<{ readonly base: number; readonly firstPort: number } | Obstacle> {
  if (process.platform !== 'linux') return { what: `this is ${process.platform}, which has one loopback address`, fix: 'run meltemi on Linux: a virtual machine, WSL 2, or any container' };
  if (!findTool('mkfifo')) return { what: 'the program "mkfifo" is missing (output of containers)', fix: 'install it: apt-get install coreutils' };
  if (!nativeClasses()) return { what: `Node ${process.version} does not show its sockets to --require`, fix: 'use Node 20, 22 or 24 without --permission' };
  let problem = '';
  for (const base of wanted === undefined ? LOOPBACK_BASES : [wanted]) {
    const { nodeIP } = addressPlan(String(base));
    const failure = await tryListen(nodeIP, API_PORT);
    if (failure === undefined) return { base, firstPort: (await tryListen(nodeIP, 1)) === undefined ? 0 : firstUnprivilegedPort() };
    problem = `${nodeIP}:${API_PORT}: ${failure}`;
  }
  return { what: `no free addresses for pods (${problem})`, fix: 'stop another loopback cluster of this machine: meltemi down' };
}

function firstUnprivilegedPort(): number {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8')) || 1024;
  } catch {
    return 1024;
  }
}

function tryListen(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', (error) => resolve(error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}
