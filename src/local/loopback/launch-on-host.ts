/** Containers on a loopback cluster: plain processes of the user, whose Node programs believe in the pod (docs/local-loopback.md). */
import { spawn, type ChildProcess } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { openOutputPipes } from '../kubelet/output-pipe.ts';
import type { Launch } from '../kubelet/launch.ts';
import type { StartedProcess } from '../kubelet/process.ts';
import { mappedCommand, mappedPath } from './preload/files.ts';
import { POD_NETWORK_VARIABLE, type PodNetwork } from './pod-network.ts';
import { readRedirect } from './redirect-file.ts';
import { AGENT_HTTP_PORT, NODE_HTTP_PORT } from './http-forward.ts';

/** Names the cluster that a process belongs to: what is left of a killed cluster is found by it. */
export const CLUSTER_VARIABLE = 'MELTEMI_CLUSTER';

export interface HostLaunchRequest {
  /** A folder of this start only; made new. */
  readonly folder: string;
  /** State directory of the cluster. */
  readonly home: string;
  /** File that NODE_OPTIONS shall load. */
  readonly preload: string;
  readonly network: PodNetwork;
  /** Written for the container only: /etc/hosts and its relatives. */
  readonly files: readonly { readonly path: string; readonly content: string }[];
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly cwdMustExist: boolean;
  /** Standard input is a pipe that stays open; else there is none. */
  readonly stdin: boolean;
}

/** Prepares one start: writes the container's view of its pod into its folder. */
export function launchOnHost(request: HostLaunchRequest): Launch {
  const { folder } = request;
  rmSync(folder, { recursive: true, force: true });
  const etc = join(folder, 'etc');
  const temporary = join(folder, 'tmp');
  for (const path of [etc, temporary]) mkdirSync(path, { recursive: true });
  const files = request.files.map(({ path, content }, index) => {
    const source = join(etc, String(index));
    writeFileSync(source, content);
    return [path, source] as const;
  });
  // Our programs and the state directory stay where they are, also below a volume at /tmp or /home.
  const fixed = [dirname(dirname(request.preload)), request.home].map((path) => [path, path] as const);
  const mounts = [...request.network.mounts, ...files, ...fixed].sort(([a], [b]) => b.length - a.length);
  const networkFile = join(folder, 'network.json');
  writeFileSync(networkFile, JSON.stringify({ ...request.network, mounts }));
  const env = { ...hostEnv(request, mounts, temporary), [POD_NETWORK_VARIABLE]: networkFile };
  const argvOf = (argv: readonly string[]): readonly string[] => mappedCommand(argv, mounts);
  const cwd = (): string | undefined => {
    const path = mappedPath(request.cwd, mounts);
    return existsSync(path) && statSync(path).isDirectory() ? path : request.cwdMustExist ? undefined : '/';
  };
  return {
    start: () => startOnHost({ argv: argvOf(request.argv), env, cwd: cwd() ?? request.cwd, noCwd: cwd() === undefined, folder, stdin: request.stdin }),
    exec: (_pid, argv, stdin) => spawnOr127(argvOf(argv), { env, cwd: cwd() ?? '/', stdin }),
  };
}

/** The container's variables and what stands in for a namespace: the preload for Node, an HTTP proxy for everything that obeys one. */
function hostEnv(request: HostLaunchRequest, mounts: PodNetwork['mounts'], temporary: string): Record<string, string> {
  const { network, env } = request;
  const captured = readRedirect(network.folder) !== undefined;
  const proxy = `http://${network.localIP}:${captured ? AGENT_HTTP_PORT : NODE_HTTP_PORT}`;
  const path = (env['PATH'] ?? '').split(delimiter).map((part) => mappedPath(part, mounts)).join(delimiter);
  return {
    http_proxy: proxy, https_proxy: proxy, HTTP_PROXY: proxy, HTTPS_PROXY: proxy,
    TMPDIR: temporary,
    // For programs that can be told where to listen and are not Node: `--bind $(MELTEMI_LISTEN_ADDRESS):8080`.
    MELTEMI_LISTEN_ADDRESS: captured ? network.localIP : network.podIP,
    ...env,
    PATH: path,
    NODE_OPTIONS: `--require ${JSON.stringify(request.preload)}${env['NODE_OPTIONS'] ? ` ${env['NODE_OPTIONS']}` : ''}`,
    [CLUSTER_VARIABLE]: request.home,
  };
}

interface HostStart {
  readonly argv: readonly string[];
  readonly env: Record<string, string>;
  readonly cwd: string;
  /** The folder that must be there is not. */
  readonly noCwd: boolean;
  readonly folder: string;
  readonly stdin: boolean;
}

function startOnHost({ argv, env, cwd, noCwd, folder, stdin }: HostStart): StartedProcess {
  const { stdout, stderr } = openOutputPipes(folder, 'stdout', 'stderr');
  const problem = noCwd ? `chdir to cwd ("${cwd}") set in config.json failed: no such file or directory` : findProgram(argv[0] ?? '', env['PATH'] ?? '', cwd);
  const child = problem === undefined ? spawn(argv[0]!, argv.slice(1), { stdio: [stdin ? 'pipe' : 'ignore', stdout.writeFd, stderr.writeFd], env, detached: true, cwd }) : spawn('/bin/sh', ['-c', 'exit 128'], { stdio: ['ignore', stdout.writeFd, stderr.writeFd], detached: true });
  stdout.release();
  stderr.release();
  const started = new Promise<string | undefined>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('spawn', () => resolve(problem));
  });
  return { child, stdout: stdout.reader, stderr: stderr.reader, pid: child.pid ?? 0, started };
}

/** What is wrong with a program's name, in the words of a container runtime; undefined when it can be run. */
function findProgram(name: string, path: string, cwd: string): string | undefined {
  const places = name.includes('/') ? [name.startsWith('/') ? name : join(cwd, name)] : path.split(delimiter).map((part) => join(part || '.', name));
  const runnable = places.some((place) => {
    try {
      accessSync(place, constants.X_OK);
      return statSync(place).isFile();
    } catch {
      return false;
    }
  });
  return runnable ? undefined : `exec: "${name}": executable file not found in $PATH`;
}

function spawnOr127(argv: readonly string[], { env, cwd, stdin }: { readonly env: Record<string, string>; readonly cwd: string; readonly stdin: boolean }): ChildProcess {
  const problem = findProgram(argv[0] ?? '', env['PATH'] ?? '', cwd);
  const options = { stdio: [stdin ? 'pipe' : 'ignore', 'pipe', 'pipe'] as ['pipe' | 'ignore', 'pipe', 'pipe'], env, cwd, detached: true };
  return problem === undefined ? spawn(argv[0]!, argv.slice(1), options) : spawn('/bin/sh', ['-c', 'echo "$1" >&2; exit 127', 'sh', problem], options);
}
