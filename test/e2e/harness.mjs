// A tiny runner for steps that build on each other: a failed step is recorded and the rest goes on; a skipped one says why and is counted.
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

export const root = new URL('../..', import.meta.url).pathname.replace(/\/$/, '');

export class Suite {
  passed = 0;
  failed = 0;
  skipped = 0;
  names = { passed: [], failed: [], skipped: [] };

  constructor(title) {
    this.title = title;
  }

  async step(name, action) {
    const from = Date.now();
    const label = `${this.title}: ${name}`;
    try {
      const note = await action();
      this.passed++;
      this.names.passed.push(label);
      console.log(`  ok    ${label}${note ? ` (${note})` : ''} ${Date.now() - from} ms`);
      return true;
    } catch (error) {
      this.failed++;
      this.names.failed.push(label);
      console.log(`  FAIL  ${label} ${Date.now() - from} ms\n        ${String(error?.message ?? error).replaceAll('\n', '\n        ')}`);
      return false;
    }
  }

  skip(count, why) {
    this.skipped += count;
    this.names.skipped.push(`${this.title}: ${why}`);
    console.log(`  skipped: ${count} cases, because ${why}`);
  }
}

export function check(condition, message) {
  if (!condition) throw new Error(message);
}

export function has(tool) {
  return spawnSync('sh', ['-c', `command -v ${tool}`], { stdio: 'ignore' }).status === 0;
}

/** Runs a command to its end; rejects with its output unless it exits with `expect` (default 0; null = any). */
export function run(command, args, { env, input, expect = 0, timeoutMs = 120_000 } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => (stdout += chunk));
    child.stderr.on('data', (chunk) => (stderr += chunk));
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      if (expect !== null && code !== expect) reject(new Error(`${command} ${args.join(' ')}: exit ${code}\n${stdout.slice(-2000)}${stderr.slice(-2000)}`));
      else resolve({ stdout, stderr, code });
    });
    // Who ends before it reads its input is judged by its exit.
    child.stdin.on('error', () => {});
    child.stdin.end(input ?? '');
  });
}

/** One HTTP exchange on a connection of its own; never rejects: `status` 0 and `error` when there was no answer. */
export function http(url, { headers = {}, method = 'GET', body, timeoutMs = 20_000 } = {}) {
  return new Promise((resolve) => {
    const from = Date.now();
    const outgoing = request(url, { method, headers, agent: false, timeout: timeoutMs }, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk) => (text += chunk));
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, body: text, ms: Date.now() - from }));
      answer.on('error', (error) => resolve({ status: 0, headers: {}, body: '', error: error.message, ms: Date.now() - from }));
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error('timed out')));
    outgoing.on('error', (error) => resolve({ status: 0, headers: {}, body: '', error: error.message, ms: Date.now() - from }));
    outgoing.end(body);
  });
}

/** Calls until it does not throw, for at most `forMs`; throws the last error. */
export async function eventually(action, forMs = 10_000, everyMs = 100) {
  const until = Date.now() + forMs;
  for (;;) {
    try {
      return await action();
    } catch (error) {
      if (Date.now() > until) throw error;
      await sleep(everyMs);
    }
  }
}

/** Processes of this machine as {pid, command, rssMb}. */
export function processes() {
  const list = [];
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      list.push({ pid: Number(pid), command, rssMb: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024 });
    } catch {
      // It ended meanwhile.
    }
  }
  return list;
}

/** Processes in the PID namespace of the cluster of one state directory. */
export function clusterProcesses(home) {
  const { pid } = JSON.parse(readFileSync(join(home, 'run/cluster.json'), 'utf8'));
  const namespaceOf = (id, kind) => {
    try {
      return readlinkSync(`/proc/${id}/ns/${kind}`);
    } catch {
      return undefined;
    }
  };
  const wanted = namespaceOf(pid, 'pid_for_children');
  return processes().filter((process) => namespaceOf(process.pid, 'pid') === wanted);
}

/** What a cluster could leave behind on the machine. */
export function machineState() {
  const out = (command, args) => spawnSync(command, args, { encoding: 'utf8' }).stdout ?? '';
  return {
    links: out('ip', ['-o', 'link']).split('\n').map((line) => line.split(': ')[1]).filter(Boolean).sort().join(' '),
    netns: out('ip', ['netns', 'list']).trim(),
    rules: out('iptables-save', []).split('\n').filter((line) => line.startsWith('-A')).join('\n'),
    mounts: readFileSync('/proc/mounts', 'utf8').split('\n').length,
  };
}

/**
 * Commands of a user who may do nothing at all: no capability, and a user namespace around him in which no further one can be made. Needs root; `close` ends it.
 * A process keeps the namespace; whoever enters it gives up everything first.
 */
export async function unprivileged(uid) {
  const keeper = spawn('unshare', ['--user', 'sleep', '100000'], { stdio: 'ignore' });
  const namespaceOf = (pid) => readlinkSync(`/proc/${pid}/ns/user`);
  await eventually(() => check(namespaceOf(keeper.pid) !== namespaceOf('self'), 'unshare made no user namespace'), 3000, 10);
  for (const map of ['uid_map', 'gid_map']) writeFileSync(`/proc/${keeper.pid}/${map}`, '0 0 65536\n');
  const drop = `echo 0 > /proc/sys/user/max_user_namespaces; exec setpriv --reuid=${uid} --regid=${uid} --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs "$@"`;
  return { argv: ['nsenter', '--user', '-t', String(keeper.pid), 'sh', '-c', drop, 'sh'], close: () => keeper.kill() };
}
