/** `attach` and `detach`: a service that already runs on this machine (in an IDE) takes part in the mesh, for its developer's traffic only. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, connect, type Server } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { messageOf } from '../../base/errors.ts';
import { createHttpsClient, type HttpsKubeClient } from '../../kube/client/https-client.ts';
import { readKubeConfig } from '../../kube/client/kube-config.ts';
import { join as joinSockets } from '../../local/host-relay.ts';
import { readRuntime } from '../../local/launcher/runtime.ts';
import { stateDir, type StateDir } from '../../local/state-dir.ts';
import { attach, attachments, detach, keepRoutes, type AttachRequest } from '../attach/attach-session.ts';
import { Progress } from '../output.ts';

interface Flags {
  readonly service: string;
  readonly version: string;
  readonly port: number;
  readonly servicePort?: number;
  readonly namespace: string;
  readonly matchHeader: Readonly<Record<string, string>>;
}

/** Longest path of a Unix socket. @see unix(7) */
const MAX_SOCKET_PATH = 100;

export function addAttach(program: Command): void {
  program
    .command('attach')
    .description('Put a program that runs on this machine into the mesh, and send it your own traffic only')
    .requiredOption('--service <name>', 'the service it is a version of')
    .requiredOption('--port <port>', 'where it listens on 127.0.0.1', parsePort)
    .option('--version <name>', 'name of this version', 'dev')
    .option('--match-header <name=value>', 'requests with this header are yours; may be repeated (default: x-dev-user and your user name)', collectHeader, {})
    .option('--service-port <port>', 'port of the service, when it has several', parsePort)
    .option('-n, --namespace <name>', 'namespace of the service', 'default')
    .addHelpText('after', `
Stays until Ctrl-C, then everything is as it was. Example: meltemi attach --service reviews --version dev --port 9080 --match-header x-dev-user=me`)
    .action(runAttach);
}

export function addDetach(program: Command): void {
  program
    .command('detach')
    .description('Undo what an "attach" left behind that was killed')
    .option('--service <name>', 'only this service')
    .option('--version <name>', 'only this version')
    .action(runDetach);
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new Error(`"${text}" is not a port`);
  return port;
}

function collectHeader(text: string, all: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const equals = text.indexOf('=');
  const name = text.slice(0, equals).toLowerCase();
  if (equals < 1 || !/^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(name)) throw new Error(`--match-header ${text}: write it as NAME=VALUE, for example x-dev-user=me`);
  return { ...all, [name]: text.slice(equals + 1) };
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

function openClient(dir: StateDir): HttpsKubeClient | undefined {
  const runtime = readRuntime(dir);
  if (runtime) return createHttpsClient(readKubeConfig({ path: runtime.kubeconfig }));
  say('Error: the mesh of this machine is not running: start it with "meltemi up"');
  process.exitCode = 1;
  return undefined;
}

async function runAttach(flags: Flags): Promise<void> {
  if (!/^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$/.test(flags.version)) {
    say(`Error: --version ${flags.version}: small letters, digits and "-" only, because pod and service are named by it`);
    process.exitCode = 1;
    return;
  }
  const dir = stateDir();
  const client = openClient(dir);
  if (!client) return;
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => interrupted.abort());
  const headers = Object.keys(flags.matchHeader).length > 0 ? flags.matchHeader : { 'x-dev-user': userName() };
  const socket = socketPath(dir, `${flags.service}-${flags.version}`);
  const relay = await openRelay(socket, flags.port);
  const request: AttachRequest = { namespace: flags.namespace, service: flags.service, version: flags.version, headers, hostPort: flags.port, servicePort: flags.servicePort, socket };
  try {
    await serveAttachment(client, request, interrupted.signal);
  } finally {
    const progress = new Progress('Detaching');
    await detach(client, request).then(() => progress.end('✔ Detached: the routes are as they were'), (error: unknown) => {
      progress.end(`✘ ${messageOf(error)}: run "meltemi detach" when the mesh answers again`);
      process.exitCode = 1;
    });
    relay.close();
    rmSync(socket, { force: true });
    client.close();
    process.exit();
  }
}

/** A user id without a name is a name too. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return process.env['USER'] ?? String(process.getuid?.() ?? 'me');
  }
}

async function serveAttachment(client: HttpsKubeClient, request: AttachRequest, signal: AbortSignal): Promise<void> {
  const { service, version, headers, hostPort } = request;
  const progress = new Progress(`Attaching 127.0.0.1:${hostPort} to ${service}`);
  const gone = new Promise<undefined>((resolve) => signal.addEventListener('abort', () => resolve(undefined)));
  try {
    const attachment = await Promise.race([attach(client, request), gone]);
    if (!attachment) return progress.end('✘ interrupted');
    const mine = Object.entries(headers).map(([name, value]) => `${name}: ${value}`).join(', ');
    progress.end(`✔ Requests to ${service}:${attachment.port} with "${mine}" come to 127.0.0.1:${hostPort}, as version ${version}; all others go where they went`);
    if (!(await answers(hostPort))) say(`  Nothing listens at 127.0.0.1:${hostPort} yet: your requests get 503 until it does`);
    say('Press Ctrl-C to detach.');
    await keepRoutes(client, attachment, signal, (message) => say(`  routes not checked: ${message}`));
  } catch (error) {
    progress.end(`✘ ${messageOf(error)}`);
    process.exitCode = 1;
  }
}

/** The pod reaches this process through the file system, which both networks share. */
function socketPath(dir: StateDir, name: string): string {
  const folder = join(dir.run, 'attach');
  const path = join(folder, `${name}.sock`);
  if (path.length > MAX_SOCKET_PATH) return join(mkdtempSync(join(tmpdir(), 'attach-')), 's');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  rmSync(path, { force: true });
  return path;
}

function openRelay(socket: string, port: number): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (client) => joinSockets(client, connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true })));
  return new Promise((resolve, reject) => server.once('error', reject).listen(socket, () => resolve(server)));
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => (socket.destroy(), resolve(true)));
    socket.once('error', () => resolve(false));
  });
}

async function runDetach(flags: { readonly service?: string; readonly version?: string }): Promise<void> {
  const client = openClient(stateDir());
  if (!client) return;
  try {
    const wanted = (await attachments(client)).filter(({ service, version }) => (flags.service ?? service) === service && (flags.version ?? version) === version);
    for (const one of wanted) {
      await detach(client, one);
      say(`✔ Detached ${one.service} ${one.version} in namespace ${one.namespace}`);
    }
    if (wanted.length === 0) say('Nothing is attached.');
  } finally {
    client.close();
  }
}
