/** Makes the fresh namespaces of the cluster a node: private mounts, our programs at paths every user can read, the pod network. */
import { chmodSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { mustRun, runCommand } from './command.ts';
import { CONTAINER_HOME, CONTAINER_PACKAGE, NODE_OPTIONS, PROXY_NODE_OPTIONS } from './images.ts';
import { openNodeNetwork } from './kubelet/network.ts';
import type { BindMount } from './kubelet/rootfs.ts';
import { NODE_NAME } from './settings.ts';

/** Everything of the running cluster that is no process: a tmpfs, gone with the mount namespace. */
export const MEMORY_FOLDER = '/run/meltemi';
const PROGRAMS_FOLDER = join(MEMORY_FOLDER, 'programs');

/** Names under which pods call our programs, as Istio's images have them. */
export const WRAPPERS: Readonly<Record<string, string>> = { 'pilot-agent': 'agent.js', 'pilot-discovery': 'control-plane.js' };

/**
 * Called once by the cluster program, first of all. `distFolder` is the folder of the bundled programs, `envoyPath` the Envoy that agents may start. Returns the mount that shows our programs
 * inside containers: a sidecar runs as a user who may not enter the folder where this package or Node is installed.
 */
export async function setUpNode(distFolder: string, envoyPath?: string): Promise<BindMount> {
  await mustRun(['mount', '-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', '/run']);
  mkdirSync('/run/netns');
  const bin = join(PROGRAMS_FOLDER, 'bin');
  mkdirSync(bin, { recursive: true, mode: 0o755 });
  for (const [name, path] of [['node', process.execPath], ...(envoyPath === undefined ? [] : [['envoy', envoyPath]])] as [string, string][]) {
    writeFileSync(join(bin, name), '');
    await mustRun(['mount', '--bind', path, join(bin, name)]);
  }
  for (const [name, file] of Object.entries(WRAPPERS)) {
    writeFileSync(join(bin, name), `#!/bin/sh\nexec ${CONTAINER_HOME}/bin/node ${(file === 'agent.js' ? PROXY_NODE_OPTIONS : NODE_OPTIONS).join(' ')} ${CONTAINER_PACKAGE}/dist/${file} "$@"\n`);
    chmodSync(join(bin, name), 0o755);
  }
  await bindPackage(dirname(distFolder));
  // Inside a user namespace the file under /proc/sys is not writable, but the system call is allowed.
  await runCommand(['hostname', NODE_NAME]);
  await openNodeNetwork();
  return { source: PROGRAMS_FOLDER, target: CONTAINER_HOME };
}

/** A package that is installed beside its dependencies (`…/node_modules/meltemi`) is shown with all of them. */
async function bindPackage(folder: string): Promise<void> {
  const target = join(PROGRAMS_FOLDER, 'package');
  const parts = folder.split('/node_modules/');
  if (parts.length === 1 || existsSync(join(folder, 'node_modules'))) {
    mkdirSync(target);
    await mustRun(['mount', '--rbind', folder, target]);
    return;
  }
  const modules = join(parts[0]!, 'node_modules');
  mkdirSync(join(PROGRAMS_FOLDER, 'node_modules'));
  await mustRun(['mount', '--rbind', modules, join(PROGRAMS_FOLDER, 'node_modules')]);
  symlinkSync(join('node_modules', ...parts.slice(1).flatMap((part, index) => (index === 0 ? [part] : ['node_modules', part]))), target);
}
