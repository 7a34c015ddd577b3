/** Simulated proxies: real ADS streams that acknowledge everything and remember when. A child of the control-plane bench. */
import { setLogLevel } from '../src/base/log.ts';
import { TYPE_URL, type AdsClient } from '../src/xds/ads.ts';
import { createAdsClient } from '../src/xds/client/ads-client.ts';

export interface ClientsArguments {
  readonly port: number;
  readonly proxies: number;
  readonly mode: 'delta' | 'sotw';
  /** Namespaces the proxies are spread over. */
  readonly namespaces: number;
}

/** Sent once a second and on every question: when the last update of any proxy came, and how many updates and bytes there were. */
export interface ClientsReport {
  readonly connected: number;
  readonly updates: Readonly<Record<string, number>>;
  readonly lastUpdateMs: number;
  readonly bytes: number;
}

const given = JSON.parse(process.argv[2] ?? '') as ClientsArguments;
setLogLevel('none');
const updates: Record<string, number> = {};
let bytes = 0;
let lastUpdateMs = 0;

function note(type: string, update: { readonly updated: readonly { readonly value: Uint8Array }[] }): undefined {
  updates[type] = (updates[type] ?? 0) + 1;
  bytes += update.updated.reduce((sum, resource) => sum + resource.value.length, 0);
  lastUpdateMs = Date.now();
}

function start(index: number): AdsClient {
  const namespace = `ns-${index % given.namespaces}`;
  const ip = `10.${128 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
  const metadata = { NAMESPACE: namespace, WORKLOAD_NAME: `client-${index}`, CLUSTER_ID: 'Kubernetes', MESH_ID: 'cluster.local', LABELS: { app: `client-${index}` }, INTERCEPTION_MODE: 'REDIRECT', ISTIO_VERSION: 'bench', INSTANCE_IPS: ip };
  const client = createAdsClient({
    target: { host: '127.0.0.1', port: given.port }, mode: given.mode,
    node: { id: `sidecar~${ip}~client-${index}.${namespace}~${namespace}.svc.cluster.local`, cluster: `client-${index}.${namespace}`, metadata, extensions: [], userAgentName: 'meltemi', userAgentVersion: 'bench', locality: { region: '', zone: '', subZone: '' } },
  });
  const endpoints = client.subscribe(TYPE_URL.endpoint, (update) => note('EDS', update));
  const routes = client.subscribe(TYPE_URL.route, (update) => note('RDS', update));
  const clusters = new Set<string>();
  client.subscribeAll(TYPE_URL.cluster, (update) => {
    for (const { name } of update.updated) if (name.startsWith('outbound|')) clusters.add(name);
    for (const name of update.removed) clusters.delete(name);
    endpoints.setNames(new Set(clusters));
    return note('CDS', update);
  });
  client.subscribeAll(TYPE_URL.listener, (update) => {
    routes.setNames(new Set(['80']));
    return note('LDS', update);
  });
  return client;
}

const clients: AdsClient[] = [];
for (let index = 0; index < given.proxies; index++) clients.push(start(index));
process.on('message', (question: 'report' | 'stop') => {
  if (question === 'stop') return process.exit(0);
  process.send!({ connected: clients.filter((client) => client.connected).length, updates: { ...updates }, lastUpdateMs, bytes } satisfies ClientsReport);
});
process.on('disconnect', () => process.exit(0));
