/** The sidecar's side of redirection: it listens at the pod's address for every port of the application, and hands what arrives to its inbound port. */
import { existsSync, mkdirSync, readdirSync, rmSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { realPort } from '../address-plan.ts';
import { capturesInbound, type PodNetwork, type Redirect } from '../pod-network.ts';
import type { NativeClasses, TcpHandle } from './tcp.ts';

const POLL_MS = 250;
const BACKLOG = 4096;

const folderOf = (pod: PodNetwork): string => join(pod.folder, 'ports');

/** The application listens on a port. An empty file is the news: it outlives a sidecar that restarts, and one that is not there yet finds it. */
export function announcePort(pod: PodNetwork, port: number): void {
  try {
    mkdirSync(folderOf(pod), { recursive: true });
    writeFileSync(join(folderOf(pod), String(port)), '');
  } catch {
    // The pod's folder has gone: the pod is ending.
  }
}

/** The application has closed a port. */
export function withdrawPort(pod: PodNetwork, port: number): void {
  rmSync(join(folderOf(pod), String(port)), { force: true });
}

/** Keeps the pod's ports open for as long as the process lives. `inbound` is the listener of the inbound port, once there is one. */
export function captureInbound(pod: PodNetwork, redirect: Redirect, native: NativeClasses, inbound: () => TcpHandle | undefined): void {
  const open = new Map<number, TcpHandle>();
  const failed = new Set<number>();
  const take = (port: number): void => {
    const handle = new native.TCP(native.serverType);
    handle.onconnection = (status, client) => {
      const to = inbound();
      if (to?.onconnection) to.onconnection.call(to, status, client);
      else client?.close();
    };
    // The first proxy of a pod that restarts may hold the port for another moment; the next look tries again.
    if (handle.bind(pod.podIP, port) !== 0 || handle.listen(BACKLOG) !== 0) {
      failed.add(port);
      return handle.close();
    }
    handle.unref();
    failed.delete(port);
    open.set(port, handle);
  };
  const look = (): void => {
    const wanted = new Set(portsOf(pod).filter((port) => capturesInbound(redirect, port)));
    for (const port of wanted) if (!open.has(port)) take(port);
    for (const [port, handle] of open) {
      if (wanted.has(port)) continue;
      handle.close();
      open.delete(port);
    }
  };
  mkdirSync(folderOf(pod), { recursive: true });
  look();
  try {
    watch(folderOf(pod), look).on('error', () => {}).unref();
    setInterval(() => (failed.size > 0 ? look() : undefined), POLL_MS).unref();
  } catch {
    // This user has no more watches (fs.inotify.max_user_instances).
    setInterval(look, POLL_MS).unref();
  }
}

function portsOf(pod: PodNetwork): readonly number[] {
  if (!existsSync(folderOf(pod))) return [];
  return readdirSync(folderOf(pod)).map(Number).filter((port) => Number.isInteger(port) && port > 0 && realPort(port, pod.firstPort) < 65_536);
}
