/** The network of a run: one namespace in which every address of the mesh is local and connections are redirected to the sidecar as in a pod. */
import { spawnSync } from 'node:child_process';
import { BLACK_HOLE_IP, GATEWAY_IP, LOCAL_NETWORKS, PROXY_GROUP, SIDECAR_IP } from './topology.ts';

function run(command: string, ...args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr.trim()}`);
}

/** Must run inside of a fresh network namespace, as root. Throws what cannot be set up. */
export function setUpNetwork(): void {
  run('ip', 'link', 'set', 'lo', 'up');
  for (const network of LOCAL_NETWORKS) run('ip', 'route', 'add', 'local', network, 'dev', 'lo');
  const nat = (...rule: readonly string[]): void => run('iptables', '-w', '-t', 'nat', '-A', 'OUTPUT', '-p', 'tcp', ...rule);
  nat('-d', '127.0.0.0/8', '-j', 'RETURN');
  nat('-m', 'owner', '--gid-owner', String(PROXY_GROUP), '-j', 'RETURN');
  nat('-d', GATEWAY_IP, '-j', 'RETURN');
  nat('-d', SIDECAR_IP, '-j', 'REDIRECT', '--to-ports', '15006');
  nat('-j', 'REDIRECT', '--to-ports', '15001');
  run('iptables', '-w', '-A', 'OUTPUT', '-d', BLACK_HOLE_IP, '-j', 'DROP');
}
