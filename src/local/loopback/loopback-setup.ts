/** Makes this process the node of a loopback cluster: its own sockets obey the port rule, our programs get names, the preload is found. */
import { chmodSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CONTAINER_HOME, NODE_OPTIONS, PROXY_NODE_OPTIONS } from '../images.ts';
import type { BindMount } from '../kubelet/rootfs.ts';
import { WRAPPERS } from '../node-setup.ts';
import { installPod } from './preload/install.ts';
import { nodeNetwork } from './loopback-networks.ts';

export interface LoopbackSetup {
  /** Our programs, where containers look for them. */
  readonly programs: BindMount;
  /** File that Node programs of containers load first. */
  readonly preload: string;
  /** What goes with the cluster: roots and volumes of files. */
  readonly memoryFolder: string;
}

/** Called once, before anything listens. `folder` is emptied. Throws when the package is incomplete or Node hides its sockets. */
export function setUpLoopback(distFolder: string, folder: string, firstPort: number): LoopbackSetup {
  rmSync(folder, { recursive: true, force: true });
  const programs = join(folder, 'programs');
  const bin = join(programs, 'bin');
  mkdirSync(bin, { recursive: true, mode: 0o700 });
  symlinkSync(process.execPath, join(bin, 'node'));
  symlinkSync(dirname(distFolder), join(programs, 'package'));
  for (const [name, file] of Object.entries(WRAPPERS)) {
    writeFileSync(join(bin, name), `#!/bin/sh\nexec '${process.execPath}' ${(file === 'agent.js' ? PROXY_NODE_OPTIONS : NODE_OPTIONS).join(' ')} '${join(distFolder, file)}' "$@"\n`);
    chmodSync(join(bin, name), 0o755);
  }
  const preload = join(distFolder, 'pod-preload.cjs');
  if (!existsSync(preload)) throw new Error(`${preload} is missing: build it with "npm run build"`);
  installPod(nodeNetwork(folder, firstPort));
  return { programs: { source: programs, target: CONTAINER_HOME }, preload, memoryFolder: folder };
}
