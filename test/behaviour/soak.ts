/** Random valid meshes: what our compiled configuration decides in process must be what both data planes do, and neither may refuse one. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KubeObject } from '../../src/objects/meta.ts';
import type { Call, Expectation } from './case.ts';
import { layered } from './control-plane.ts';
import { compileMesh, decide, type CompiledMesh, type Decision } from './in-process.ts';
import { GATEWAY, SIDECAR } from './topology.ts';

/** Meshes a second of soak, and calls to each. */
const MESHES_PER_SECOND = 4;
const CALLS_PER_MESH = 16;

/** Draws values; the same seed draws the same ones. */
class Draw {
  constructor(private state: number) {}

  /** In [0, 1). */
  next(): number {
    // mulberry32
    let t = (this.state = (this.state + 0x6d2b79f5) | 0);
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  integer(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  of<T>(...values: readonly T[]): T {
    return values[this.integer(0, values.length - 1)]!;
  }

  maybe<T>(make: () => T): T | undefined {
    return this.next() < 0.35 ? make() : undefined;
  }

  list<T>(least: number, most: number, make: () => T): T[] {
    return Array.from({ length: this.integer(least, most) }, make);
  }

  /** Some of the values, in order. */
  some<T>(...values: readonly T[]): T[] {
    const chosen = values.filter(() => this.next() < 0.5);
    return chosen.length > 0 ? chosen : [this.of(...values)];
  }

  named<T>(names: readonly string[], make: () => T): Record<string, T> {
    return Object.fromEntries(this.some(...names).map((name) => [name, make()]));
  }
}

const HEADERS = ['x-a', 'x-b'];
const HOSTS = ['a.example.com', '*.example.com', 'b.a.example.com', '*.a.example.com', '*'];

const word = (draw: Draw): string => draw.of('a', 'b', 'ab', 'A', 'a.b');
const path = (draw: Draw): string => draw.list(1, 3, () => draw.of('/a', '/b', '/ab', '/A', '/a.b')).join('');
const stringMatch = (draw: Draw): object => draw.of({ exact: word(draw) }, { prefix: word(draw) }, { regex: draw.of('a', 'a.*', '[ab]+', '.*b', '(?i)a', 'a\\.b', '(a|ab)') });
const uriMatch = (draw: Draw): object => draw.of({ exact: path(draw) }, { prefix: path(draw) }, { prefix: '/' }, { regex: draw.of('/a.*', '/[ab]/.*', '.*', '/a/b|/b/a', '(/a)+') });

const match = (draw: Draw): object => ({
  uri: draw.maybe(() => uriMatch(draw)), ignoreUriCase: draw.maybe(() => true), method: draw.maybe(() => draw.of<object>({ exact: 'GET' }, { regex: 'P.*' }, { prefix: 'DE' })),
  headers: draw.maybe(() => draw.named(HEADERS, () => draw.of(stringMatch(draw), {}))), withoutHeaders: draw.maybe(() => draw.named(HEADERS, () => stringMatch(draw))),
  queryParams: draw.maybe(() => ({ [draw.of('q', 'r')]: stringMatch(draw) })), authority: draw.maybe(() => draw.of<object>({ prefix: 'r' }, { regex: '.*app.*' }, { exact: 'ratings' })),
  port: draw.maybe(() => draw.of(80, 8888)), sourceLabels: draw.maybe(() => ({ app: draw.of('client', 'nobody') })),
});

const destination = (draw: Draw): object => draw.of<object>({ host: 'reviews', subset: 'v1' }, { host: 'reviews', subset: 'v2' }, { host: 'reviews' }, { host: 'ratings' }, { host: 'details.other.svc.cluster.local' }, { host: 'nobody' }, { host: 'reviews', subset: 'gone' });

function action(draw: Draw): object {
  const kind = draw.integer(0, 4);
  if (kind === 0) return { directResponse: { status: draw.integer(200, 599) } };
  if (kind === 1) return { redirect: { ...draw.of<object>({ uri: path(draw) }, { authority: 'else.example.com' }, { uri: path(draw), authority: 'else.example.com' }), redirectCode: draw.maybe(() => draw.of(302, 307)) } };
  return {
    route: draw.list(1, 3, () => ({ destination: destination(draw), weight: draw.integer(1, 50) })),
    timeout: draw.maybe(() => draw.of('1s', '0s')), retries: draw.maybe(() => ({ attempts: draw.integer(0, 2), retryOn: draw.of('5xx', 'connect-failure,503', 'reset') })),
    rewrite: draw.maybe(() => draw.of<object>({ uri: path(draw) }, { authority: 'rewritten' })), headers: draw.maybe(() => ({ request: { set: draw.named(HEADERS, () => word(draw)) }, response: { add: draw.named(HEADERS, () => word(draw)) } })),
    mirror: draw.maybe(() => ({ host: 'ratings' })), corsPolicy: draw.maybe(() => ({ allowOrigins: [{ exact: 'https://a' }] })),
  };
}

function objectsOf(draw: Draw): KubeObject[] {
  let number = 0;
  const routes = (most: number): object[] => draw.list(1, most, () => ({ name: `r${number++}`, match: draw.maybe(() => 0) === 0 ? undefined : draw.list(1, 2, () => match(draw)), ...action(draw) }));
  const trafficPolicy = {
    loadBalancer: draw.maybe(() => draw.of<object>({ simple: 'ROUND_ROBIN' }, { simple: 'RANDOM' }, { consistentHash: { httpHeaderName: 'x-a' } }, { consistentHash: { useSourceIp: true } })),
    connectionPool: draw.maybe(() => ({ http: { http1MaxPendingRequests: draw.integer(100, 200), maxRequestsPerConnection: draw.maybe(() => draw.integer(1, 5)) } })),
    outlierDetection: draw.maybe(() => ({ consecutive5xxErrors: 50 })),
  };
  return [
    ...draw.some('reviews', 'ratings').map((host) => meta('VirtualService', host, { hosts: [host], http: routes(5) })),
    meta('Gateway', 'web', { selector: { istio: 'ingressgateway' }, servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: draw.some(...HOSTS) }] }),
    ...draw.list(1, 3, () => 0).map((_, index) => meta('VirtualService', `web-${index}`, { hosts: draw.some(...HOSTS), gateways: ['web'], http: routes(4) })),
    meta('DestinationRule', 'reviews', { host: 'reviews', trafficPolicy, subsets: [{ name: 'v1', labels: { version: 'v1' } }, { name: 'v2', labels: { version: 'v2' } }] }),
  ];
}

function callOf(draw: Draw, compiled: { readonly sidecar: CompiledMesh; readonly gateway: CompiledMesh }): Call {
  const target = draw.of('reviews', 'reviews:8888', 'ratings', 'gateway', 'gateway');
  const at = target === 'gateway' ? { gateway: 8080, host: draw.of('a.example.com', 'b.a.example.com', 'x.b.a.example.com', 'other.test', 'A.Example.com:8080', 'example.com') } : { to: target };
  const asked: Call = { ...at, path: path(draw) + draw.of('', '?q=a', '?r=ab&q=b', '?q='), method: draw.of('GET', 'POST', 'DELETE'), headers: draw.next() < 0.3 ? {} : draw.named(HEADERS, () => word(draw)), expect: {} };
  const chosen = target === 'gateway' ? compiled.gateway : compiled.sidecar;
  return { ...asked, expect: expectationOf(decide(chosen, asked), chosen.clusters) };
}

const meta = (kind: string, name: string, spec: object): KubeObject => ({ apiVersion: 'networking.istio.io/v1', kind, metadata: { name, namespace: 'app', creationTimestamp: '2026-01-01T00:00:00Z' }, spec }) as unknown as KubeObject;

/** Undefined fields are not YAML. */
const plain = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

/** Writes one case file per random mesh, whose expectations are the decisions made in process. Returns problems found while doing so. */
export function writeSoak(folder: string, base: readonly KubeObject[], seconds: number, seed: number): string[] {
  mkdirSync(folder, { recursive: true });
  const problems: string[] = [];
  const draw = new Draw(seed);
  for (let index = 0; index < Math.max(1, Math.round(seconds * MESHES_PER_SECOND)); index++) {
    const objects = plain(objectsOf(draw));
    const name = `mesh-${String(index).padStart(4, '0')}`;
    const compiled = { sidecar: compileMesh(layered(base, objects), SIDECAR), gateway: compileMesh(layered(base, objects), GATEWAY) };
    for (const refusal of [...compiled.sidecar.refusals, ...compiled.gateway.refusals]) problems.push(`${name}: refused: ${refusal}`);
    const file = { mesh: objects.map((object) => JSON.stringify(object)).join('\n---\n'), cases: Array.from({ length: CALLS_PER_MESH }, (_, at) => ({ name: `call-${at}`, call: callOf(draw, compiled) })) };
    writeFileSync(join(folder, `${name}.yaml`), JSON.stringify(file, null, 1));
  }
  return problems;
}

/** What must be seen when this was decided. */
export function expectationOf(decision: Decision, known: ReadonlySet<string>): Expectation {
  if (decision.refused) return { closed: true };
  const route = decision.route === undefined || decision.route === '' ? {} : { routeName: decision.route };
  if (decision.status !== undefined) return { status: decision.status, ...route, ...(decision.location === undefined ? {} : { headers: { location: decision.location } }) };
  // A cluster that is not there is not named in the log.
  if (decision.clusters.some((name) => !known.has(name))) return route;
  const choices = decision.clusters.map((name) => name.replace(/[.|*+?^$(){}[\]\\]/g, '\\$&')).join('|');
  return { ...route, log: { upstream_cluster: `/^(${choices});?$/` } };
}
