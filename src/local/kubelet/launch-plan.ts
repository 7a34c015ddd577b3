/** From a container's spec to everything its process needs: program, environment, root folder. */
import { existsSync, mkdirSync, rmSync, statSync, writeFileSync, chownSync, chmodSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import type { Container } from '../../objects/kubernetes/container.ts';
import { containerArgv, type ImageProgram } from '../images.ts';
import { launchOnHost } from '../loopback/launch-on-host.ts';
import type { PodNetwork } from '../loopback/pod-network.ts';
import { PROXY_UID } from '../settings.ts';
import { buildEnv, expand } from './env.ts';
import type { PodContext } from './pod-context.ts';
import { launchInNamespaces, type Launch } from './launch.ts';
import { credentialsOf, refusalOf, setprivArgv } from './process.ts';
import { inTerminal } from './terminal.ts';
import { buildSkeleton, hostView, planRoot, renderFstab, type RootRequest } from './rootfs.ts';

export type LaunchResult = { readonly ok: true; readonly launch: Launch } | { readonly ok: false; readonly reason: 'CreateContainerConfigError' | 'CreateContainerError'; readonly message: string };

/** Prepares one start of a container: builds its root below `folder` (replacing what is there) and returns what to run. */
export function planLaunch(context: PodContext, container: Container, program: ImageProgram, folder: string): LaunchResult {
  const pod = context.pod();
  const credentials = credentialsOf(pod.spec, container.securityContext, program.user);
  const podWide = pod.spec.securityContext?.runAsNonRoot === undefined ? {} : { runAsNonRoot: pod.spec.securityContext.runAsNonRoot };
  const refusal = refusalOf(credentials, { ...podWide, ...container.securityContext }, context.mode);
  if (refusal) return { ok: false, reason: 'CreateContainerConfigError', message: refusal };
  const built = buildEnv(container, { ...program.env, ...agentEnv(context, program) }, context.envSources());
  if (!built.ok) return { ok: false, reason: 'CreateContainerConfigError', message: built.message };
  const variables = new Map(Object.entries(built.env));
  const expandAll = (list: readonly string[] | undefined) => list?.map((text) => expand(text, variables));
  const command = containerArgv(program, expandAll(container.command), expandAll(container.args));
  const argv = container.tty && command.length > 0 ? inTerminal(command) : command;
  if (argv.length === 0) return { ok: false, reason: 'CreateContainerError', message: 'no command specified' };
  const readOnlyRoot = container.securityContext?.readOnlyRootFilesystem === true;
  const hostname = pod.spec.hostname || pod.metadata.name;
  const common = { argv, env: built.env, cwd: container.workingDir || program.cwd || '/', cwdMustExist: Boolean(container.workingDir), stdin: container.stdin ?? false };
  try {
    if (context.loopback) {
      // The image's own files stay where they are, also below a volume.
      const own = program.cwd === undefined ? [] : [[program.cwd, program.cwd] as const];
      const mounts = [...[context.programs, ...volumeMounts(context, container, variables), terminationMount(container, folder)].map(({ target, source }) => [target, source] as const), ...own];
      const network: PodNetwork = { ...context.loopback.network, role: credentials.uid === PROXY_UID ? 'proxy' : 'app', mounts };
      return { ok: true, launch: launchOnHost({ ...common, folder, home: context.loopback.home, preload: context.loopback.preload, network, files: context.etcFiles }) };
    }
    const { root, fstab } = prepareRoot(context, container, variables, folder, context.mode === 'root' ? credentials.uid : 0);
    return { ok: true, launch: launchInNamespaces({ ...common, network: context.network, fstab, root, readOnlyRoot, hostname, setpriv: setprivArgv(credentials, context.mode) }) };
  } catch (error) {
    return { ok: false, reason: 'CreateContainerError', message: error instanceof Error ? error.message : String(error) };
  }
}

/** Which data plane an agent runs; and, with one user only, that the proxy is told apart by a mark on its sockets instead of by its uid. */
function agentEnv(context: PodContext, program: ImageProgram): Readonly<Record<string, string>> {
  if (!program.agent) return {};
  return { ...context.agentEnv, ...(context.mode === 'user-namespace' ? { MELTEMI_SO_MARK: String(PROXY_UID) } : {}) };
}

/** The file in which a container says why it ended, beside its root folder. */
export function terminationFile(folder: string): string {
  return `${folder}.termination`;
}

/** An empty file for this start, writable for whoever the program runs as. */
function terminationMount(container: Container, folder: string): RootRequest['mounts'][number] {
  const source = terminationFile(folder);
  mkdirSync(dirname(source), { recursive: true });
  writeFileSync(source, '');
  chmodSync(source, 0o666);
  return { source, target: container.terminationMessagePath || '/dev/termination-log', isFile: true };
}

/** Where the container's volumes are and where it wants them. Throws when the pod has no such volume. */
function volumeMounts(context: PodContext, container: Container, variables: ReadonlyMap<string, string>): RootRequest['mounts'][number][] {
  return (container.volumeMounts ?? []).map((mount) => {
    const base = context.volumePath(mount.name);
    if (base === undefined) throw new Error(`volume "${mount.name}" of container "${container.name}" is not in the pod`);
    const sub = mount.subPathExpr ? expand(mount.subPathExpr, variables) : (mount.subPath ?? '');
    const source = sub ? subPath(base, sub) : base;
    return { source, target: mount.mountPath, readOnly: mount.readOnly ?? false, isFile: !statSync(source).isDirectory() };
  });
}

function prepareRoot(context: PodContext, container: Container, variables: ReadonlyMap<string, string>, folder: string, uid: number): { root: string; fstab: string } {
  rmSync(folder, { recursive: true, force: true });
  const volumes = volumeMounts(context, container, variables);
  const message = terminationMount(container, folder);
  if (!volumes.some(({ target }) => normalize(target) === normalize(message.target))) volumes.push(message);
  const request: RootRequest = { files: context.etcFiles, mounts: [context.programs, ...volumes] };
  const plan = planRoot(request, hostView);
  for (const { path, isFile } of plan.insideVolumes) makeMountPoint(path, isFile);
  const root = join(folder, 'root');
  buildSkeleton(plan, root);
  // The container's user owns what an image would let it write: its root folder's own directories.
  if (uid !== 0) for (const path of ['/', '/run']) chownSync(join(root, path), uid, -1);
  const fstab = join(folder, 'fstab');
  writeFileSync(fstab, renderFstab(plan, root));
  return { root, fstab };
}

function subPath(base: string, sub: string): string {
  const clean = normalize(sub);
  if (clean.startsWith('/') || clean.split('/').includes('..')) throw new Error(`subPath "${sub}" must stay inside the volume`);
  const path = join(base, clean);
  if (!existsSync(path)) {
    mkdirSync(path, { recursive: true });
    chmodSync(path, 0o777);
  }
  return path;
}

function makeMountPoint(path: string, isFile: boolean): void {
  if (existsSync(path)) return;
  mkdirSync(isFile ? dirname(path) : path, { recursive: true });
  if (isFile) writeFileSync(path, '');
}
