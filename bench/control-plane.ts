/** `npm run bench -- control-plane [S,E,P …]`: what a change costs in a mesh of S services with E endpoints each and P proxies. */
import { fork, type ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../src/base/clock.ts';
import { setLogLevel } from '../src/base/log.ts';
import type { KubeObject } from '../src/objects/meta.ts';
import { TestControlPlane } from '../test/behaviour/control-plane.ts';
import { cpuOf, memoryOf } from './process-stat.ts';
import type { ClientsArguments, ClientsReport } from './xds-clients.ts';

interface Size {
  readonly services: number;
  readonly endpoints: number;
  readonly proxies: number;
}

const DEFAULT_SIZES = '100,10,100 1000,10,500';
const NAMESPACES = 10;
const CHANGES = 10;
/** The control plane waits this long for a change to be the last one. */
const DEBOUNCE_MS = 100;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function sliceOf(index: number, count: number, shift = 0): KubeObject {
  const addresses = Array.from({ length: count }, (_, position) => `10.${index >> 8}.${index & 255}.${((position + shift) % 250) + 1}`);
  return {
    apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata: { name: `s-${index}-1`, namespace: `ns-${index % NAMESPACES}`, labels: { 'kubernetes.io/service-name': `s-${index}` } },
    addressType: 'IPv4', ports: [{ name: 'http', port: 8080, protocol: 'TCP' }], endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
  } as unknown as KubeObject;
}

function virtualService(variant: number): KubeObject {
  return {
    apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata: { name: 'changing', namespace: 'ns-0' },
    spec: { hosts: ['s-0.ns-0.svc.cluster.local'], http: [{ headers: { request: { set: { 'x-variant': String(variant) } } }, route: [{ destination: { host: 's-0.ns-0.svc.cluster.local', port: { number: 80 } } }] }] },
  } as unknown as KubeObject;
}

function mesh({ services, endpoints }: Size): KubeObject[] {
  const namespaces = Array.from({ length: NAMESPACES }, (_, index) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: `ns-${index}` } }));
  const objects = Array.from({ length: services }, (_, index) => [
    { apiVersion: 'v1', kind: 'Service', metadata: { name: `s-${index}`, namespace: `ns-${index % NAMESPACES}` }, spec: { clusterIP: `10.${96 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`, ports: [{ name: 'http', port: 80, targetPort: 8080 }], selector: { app: `s-${index}` } } },
    sliceOf(index, endpoints),
  ]).flat();
  return [...namespaces, ...objects, virtualService(0)] as unknown as KubeObject[];
}

class Clients {
  private constructor(private readonly child: ChildProcess) {}

  static start(args: ClientsArguments): Clients {
    return new Clients(fork(join(import.meta.dirname, 'xds-clients.js'), [JSON.stringify(args)], { stdio: 'inherit' }));
  }

  report(): Promise<ClientsReport> {
    return new Promise((resolve) => {
      this.child.once('message', (message) => resolve(message as ClientsReport));
      this.child.send('report');
    });
  }

  stop(): void {
    this.child.kill('SIGKILL');
  }

  /** Waits until the count of a type has grown by `by`, or until nothing has come for a while. */
  async grown(type: string, from: ClientsReport, by: number, waitMs = 60_000): Promise<ClientsReport> {
    for (const deadline = Date.now() + waitMs; ; await pause(5)) {
      const report = await this.report();
      if ((report.updates[type] ?? 0) - (from.updates[type] ?? 0) >= by) return report;
      if (Date.now() > deadline) throw new Error(`only ${(report.updates[type] ?? 0) - (from.updates[type] ?? 0)} of ${by} proxies got ${type} within ${waitMs / 1000} s`);
    }
  }
}

interface ChangeCost {
  readonly change: string;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuMs: number;
  readonly kilobytes: number;
}

async function measure(size: Size, mode: 'delta' | 'sotw'): Promise<{ connectMs: number; connectCpuMs: number; rssMb: number; changes: readonly ChangeCost[] }> {
  let objects = mesh(size);
  const plane = new TestControlPlane(objects, systemClock);
  const port = await plane.start();
  const from = Date.now();
  const cpuBefore = cpuOf(process.pid);
  const clients = Clients.start({ port, proxies: size.proxies, mode, namespaces: NAMESPACES });
  try {
    const nothing: ClientsReport = { connected: 0, updates: {}, lastUpdateMs: 0, bytes: 0 };
    await clients.grown('RDS', nothing, size.proxies, 300_000);
    const connectMs = Date.now() - from;
    const cpuAfter = cpuOf(process.pid);
    await pause(2000);
    const changes: ChangeCost[] = [];
    const run = async (change: string, type: string, make: (index: number) => KubeObject) => {
      const times: number[] = [];
      const [cpu, start] = [cpuOf(process.pid), await clients.report()];
      for (let index = 1; index <= CHANGES; index++) {
        const before = await clients.report();
        const object = make(index);
        objects = objects.map((old) => (old.kind === object.kind && old.metadata.name === object.metadata.name ? object : old));
        const sent = Date.now();
        plane.change(objects, object);
        const after = await clients.grown(type, before, size.proxies);
        times.push(after.lastUpdateMs - sent);
      }
      const [end, now] = [await clients.report(), cpuOf(process.pid)];
      times.sort((a, b) => a - b);
      changes.push({ change, p50Ms: times[Math.floor(CHANGES / 2)]!, p99Ms: times.at(-1)!, cpuMs: (now.userMs + now.systemMs - cpu.userMs - cpu.systemMs) / CHANGES, kilobytes: (end.bytes - start.bytes) / CHANGES / 1024 });
    };
    await run('one endpoint', 'EDS', (index) => sliceOf(1, size.endpoints, index));
    await run('one VirtualService', 'RDS', virtualService);
    return { connectMs, connectCpuMs: cpuAfter.userMs + cpuAfter.systemMs - cpuBefore.userMs - cpuBefore.systemMs, rssMb: memoryOf(process.pid).rssMb, changes };
  } finally {
    clients.stop();
  }
}

setLogLevel('none');
const json = process.argv.includes('--json') ? process.argv[process.argv.indexOf('--json') + 1] : undefined;
const sizes = process.argv.slice(2).filter((argument) => /^\d+,\d+,\d+$/.test(argument));
const results: unknown[] = [];
process.stdout.write(`Times are from the change to the last proxy's acknowledgement, the debounce of ${DEBOUNCE_MS} ms included; p99 of ${CHANGES} changes is their maximum. CPU and bytes are per change, over all proxies.\n\n`);
process.stdout.write('| S, E, P | protocol | all connected | RSS | change | p50 | p99 | CPU | sent |\n|---|---|---|---|---|---|---|---|---|\n');
for (const text of sizes.length > 0 ? sizes : DEFAULT_SIZES.split(' ')) {
  const [services, endpoints, proxies] = text.split(',').map(Number) as [number, number, number];
  for (const mode of ['delta', 'sotw'] as const) {
    const result = await measure({ services, endpoints, proxies }, mode);
    results.push({ services, endpoints, proxies, mode, ...result });
    for (const change of result.changes)
      process.stdout.write(`| ${services}, ${endpoints}, ${proxies} | ${mode} | ${(result.connectMs / 1000).toFixed(1)} s, ${(result.connectCpuMs / 1000).toFixed(1)} s CPU | ${result.rssMb.toFixed(0)} MB | ${change.change} | ${change.p50Ms} ms | ${change.p99Ms} ms | ${change.cpuMs.toFixed(0)} ms | ${change.kilobytes.toFixed(0)} KB |\n`);
  }
}
if (json) writeFileSync(json, `${JSON.stringify(results, null, 2)}\n`);
process.exit(0);
