/** Probes: is the container up, ready, alive? Asked from the node, at the pod's address. */
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import type { Container, Probe } from '../../objects/kubernetes/container.ts';
import { checkGrpcHealth } from './grpc-health.ts';
import { portNumber, type Handler, type HttpGet, type ProbeResult } from './pod.ts';

/** How a check reaches the container. */
export interface ProbeTarget {
  readonly container: Container;
  readonly podIP: string;
  /** Runs a command inside the container; undefined when it is not running. */
  exec(argv: readonly string[], timeoutMs: number): Promise<{ readonly code: number; readonly output: string; readonly timedOut: boolean }>;
}

const MAX_BODY_BYTES = 10 << 10;

/** Runs one check of a probe or hook to its result; never throws. */
export async function runHandler(handler: Handler, target: ProbeTarget, timeoutMs: number): Promise<ProbeResult> {
  if (handler.exec) return runExec(handler.exec.command ?? [], target, timeoutMs);
  if (handler.httpGet) return runHttp(handler.httpGet, target, timeoutMs);
  if (handler.tcpSocket) {
    const port = portNumber(target.container, handler.tcpSocket.port);
    if (port === undefined) return { ok: false, message: `couldn't find port: ${String(handler.tcpSocket.port)}` };
    return runTcp(handler.tcpSocket.host || target.podIP, port, timeoutMs);
  }
  if (handler.grpc) return checkGrpcHealth(target.podIP, handler.grpc.port, handler.grpc.service ?? '', timeoutMs);
  return { ok: true };
}

async function runExec(command: readonly string[], target: ProbeTarget, timeoutMs: number): Promise<ProbeResult> {
  const { code, output, timedOut } = await target.exec(command, timeoutMs);
  if (timedOut) return { ok: false, message: `command timed out: ${JSON.stringify(command)} timed out after ${timeoutMs / 1000}s` };
  return code === 0 ? { ok: true, message: output } : { ok: false, message: output || `command ${JSON.stringify(command)} exited with ${code}` };
}

/** GET; any status from 200 to 399 is success. Certificates are not checked, as the kubelet does not. */
function runHttp(action: HttpGet, target: ProbeTarget, timeoutMs: number): Promise<ProbeResult> {
  const port = portNumber(target.container, action.port);
  if (port === undefined) return Promise.resolve({ ok: false, message: `couldn't find port: ${String(action.port)}` });
  const secure = action.scheme === 'HTTPS';
  const host = action.host || target.podIP;
  const path = action.path?.startsWith('/') ? action.path : `/${action.path ?? ''}`;
  const url = `${secure ? 'https' : 'http'}://${host}:${port}${path}`;
  const headers: Record<string, string> = { 'user-agent': 'kube-probe/1.32', accept: '*/*', connection: 'close', ...Object.fromEntries((action.httpHeaders ?? []).map(({ name, value }) => [name.toLowerCase(), value])) };
  return new Promise((resolve) => {
    const fail = (message: string) => resolve({ ok: false, message: `Get "${url}": ${message}` });
    const options = { host, port, path, headers, agent: false as const, timeout: timeoutMs };
    const request = secure ? https.request({ ...options, rejectUnauthorized: false }) : http.request(options);
    const timer = setTimeout(() => (fail('context deadline exceeded (Client.Timeout exceeded while awaiting headers)'), request.destroy()), timeoutMs);
    request.on('response', (response) => {
      clearTimeout(timer);
      const status = response.statusCode ?? 0;
      let bytes = 0;
      response.on('data', (chunk: Buffer) => ((bytes += chunk.length) > MAX_BODY_BYTES ? request.destroy() : undefined));
      response.on('error', () => {});
      resolve(status >= 200 && status < 400 ? { ok: true } : { ok: false, message: `HTTP probe failed with statuscode: ${status}` });
    });
    request.on('error', (error: NodeJS.ErrnoException) => (clearTimeout(timer), fail(error.code === 'ECONNREFUSED' ? `dial tcp ${host}:${port}: connect: connection refused` : error.message)));
    request.end();
  });
}

function runTcp(host: string, port: number, timeoutMs: number): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port });
    const timer = setTimeout(() => (socket.destroy(), resolve({ ok: false, message: `dial tcp ${host}:${port}: i/o timeout` })), timeoutMs);
    socket.on('connect', () => (clearTimeout(timer), socket.destroy(), resolve({ ok: true })));
    socket.on('error', (error: NodeJS.ErrnoException) => (clearTimeout(timer), resolve({ ok: false, message: `dial tcp ${host}:${port}: connect: ${error.code === 'ECONNREFUSED' ? 'connection refused' : error.message}` })));
  });
}

/** Before its first success a network probe is asked this often, whatever its period: nobody waits 15 s for a program that took 0.3 s. */
const EAGER_MS = 250;

/** What the prober tells: `failed` after failureThreshold failures in a row, `passed` after successThreshold successes. */
export interface ProbeListener {
  passed(): void;
  failed(message: string): void;
  /** One check did not succeed; shown as an `Unhealthy` event. */
  unhealthy(message: string): void;
}

/** Repeats one probe until the signal aborts. Extra, early checks before the first success count as successes only. */
export async function runProber(probe: Probe, target: ProbeTarget, listener: ProbeListener, signal: AbortSignal): Promise<void> {
  const periodMs = Math.max(1, probe.periodSeconds ?? 10) * 1000;
  const timeoutMs = Math.max(1, probe.timeoutSeconds ?? 1) * 1000;
  const eager = !probe.exec && EAGER_MS < periodMs;
  let successes = 0;
  let failures = 0;
  let passedOnce = false;
  await pause((probe.initialDelaySeconds ?? 0) * 1000, signal);
  for (let countAt = Date.now(); !signal.aborted; ) {
    const result = await runHandler(probe, target, timeoutMs);
    if (signal.aborted) return;
    const counts = Date.now() >= countAt;
    if (result.ok) {
      failures = 0;
      if (++successes >= (probe.successThreshold ?? 1)) {
        passedOnce = true;
        listener.passed();
      }
    } else {
      successes = 0;
      // The very first check of a program that is still starting is no news.
      if (counts && (passedOnce || failures > 0 || !eager)) listener.unhealthy(result.message);
      if (counts && ++failures >= (probe.failureThreshold ?? 3)) listener.failed(result.message);
    }
    if (counts) countAt = Date.now() + periodMs;
    await pause(eager && !passedOnce ? EAGER_MS : periodMs, signal);
  }
}

/** Waits; returns early when the signal aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms <= 0 || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
