/** Simulated proxies: real ADS streams that acknowledge everything and remember when. A child of the control-plane bench. */
import { setLogLevel } from '../src/base/log.ts';
import { TYPE_URL, type AdsClient } from '../src/xds/ads.ts';
import { createAdsClient } from '../src/xds/client/ads-client.ts';
import { namespaceOf, podAddress, serviceName } from './bench-plane.ts';

export interface ClientsArguments {
  readonly port: number;
  readonly services: number;
  readonly proxies: number;
  readonly mode: 'delta' | 'sotw';
}

/** How many updates and bytes there were, when the last came, and when each of a type came since the last question. */
export interface ClientsReport {
  readonly connected: number;
  readonly updates: Readonly<Record<string, number>>;
  readonly lastUpdateMs: number;
  readonly bytes: number;
  readonly times: Readonly<Record<string, readonly number[]>>;
}

/** `reconnect`: every proxy leaves and comes back as a new process would. `take`: a report, and times are counted anew. */
export type ClientsQuestion = 'report' | 'take' | 'reconnect';

const given = JSON.parse(process.argv[2] ?? '') as ClientsArguments;
setLogLevel('none');
const updates: Record<string, number> = {};
let times: Record<string, number[]> = {};
let bytes = 0;
let lastUpdateMs = 0;

function note(type: string, update: { readonly updated: readonly { readonly value: Uint8Array }[] }): undefined {
  updates[type] = (updates[type] ?? 0) + 1;
  bytes += update.updated.reduce((sum, resource) => sum + resource.value.length, 0);
  lastUpdateMs = Date.now();
  (times[type] ??= []).push(lastUpdateMs);
}

/** Proxy `index` stands beside a pod of a service; it wants what a sidecar wants. */
function start(index: number): AdsClient {
  const service = index % given.services;
  const pod = Math.floor(index / given.services);
  const [namespace, ip, name] = [namespaceOf(service), podAddress(service, pod), `s-${service}-${pod}`];
  const metadata = { NAMESPACE: namespace, WORKLOAD_NAME: serviceName(service), CLUSTER_ID: 'Kubernetes', MESH_ID: 'cluster.local', LABELS: { app: serviceName(service), version: 'v1' }, INTERCEPTION_MODE: 'REDIRECT', ISTIO_VERSION: 'bench', INSTANCE_IPS: ip };
  const client = createAdsClient({
    target: { host: '127.0.0.1', port: given.port }, mode: given.mode, connectTimeoutMs: 120_000,
    node: { id: `sidecar~${ip}~${name}.${namespace}~${namespace}.svc.cluster.local`, cluster: `${name}.${namespace}`, metadata, extensions: [], userAgentName: 'meltemi', userAgentVersion: 'bench', locality: { region: '', zone: '', subZone: '' } },
  });
  const endpoints = client.subscribe(TYPE_URL.endpoint, (update) => note('EDS', update));
  const routes = client.subscribe(TYPE_URL.route, (update) => note('RDS', update));
  const clusters = new Set<string>();
  client.subscribeAll(TYPE_URL.cluster, (update) => {
    for (const name of update.updated.map((resource) => resource.name)) if (name.startsWith('outbound|')) clusters.add(name);
    for (const name of update.removed) clusters.delete(name);
    endpoints.setNames(clusters);
    return note('CDS', update);
  });
  client.subscribeAll(TYPE_URL.listener, (update) => {
    routes.setNames(new Set(['80']));
    return note('LDS', update);
  });
  return client;
}

let clients: AdsClient[] = [];
/** The first proxies of a mesh do not come all at once. */
const BATCH = 50;

function comeIn(): void {
  if (clients.length >= given.proxies) return;
  if ((updates['RDS'] ?? 0) >= clients.length) for (let left = Math.min(BATCH, given.proxies - clients.length); left > 0; left--) clients.push(start(clients.length));
  setTimeout(comeIn, 5);
}
comeIn();
process.on('message', (question: ClientsQuestion) => {
  const report: ClientsReport = { connected: clients.filter((client) => client.connected).length, updates: { ...updates }, lastUpdateMs, bytes, times: question === 'take' ? times : {} };
  if (question === 'take') times = {};
  if (question === 'reconnect') {
    for (const client of clients) client.close();
    clients = Array.from({ length: given.proxies }, (_, index) => start(index));
  }
  process.send!(report);
});
process.on('disconnect', () => process.exit(0));
