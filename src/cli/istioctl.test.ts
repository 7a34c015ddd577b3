import { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import type { KubeObject } from '../objects/meta.ts';
import { checkInjection, injectionTable } from './check-inject.ts';
import type { ClusterReader, CommandWorld } from './command-world.ts';
import { addExperimental } from './commands/experimental.ts';
import { addProxyConfig } from './commands/proxy-config.ts';
import { loggingPaths } from './commands/proxy-log.ts';
import { addWaypoint } from './commands/waypoint.ts';
import { addZtunnelConfig } from './commands/ztunnel-config.ts';
import { parseConfigDump, sectionOf } from './proxy-config/dump.ts';
import { ecdsTable } from './proxy-config/ecds.ts';
import { parseZtunnelDump } from './ztunnel-config/dump.ts';

interface Run {
  readonly output: string;
  readonly failed: boolean;
  readonly files: ReadonlyMap<string, string>;
}

async function run(words: string, yaml = '', dump = '{}', files: Readonly<Record<string, string>> = {}): Promise<Run> {
  const objects = parseAllDocuments(yaml).map((document) => document.toJS() as KubeObject).filter(Boolean);
  const ofKind = (kind: string) => objects.filter((object) => object.kind === kind);
  const client = {
    get: async (type, name, namespace) => ofKind(type.kind).find(({ metadata }) => metadata.name === name && (!type.namespaced || metadata.namespace === namespace)),
    list: async (type, options) => ({ resourceVersion: '', items: ofKind(type.kind).filter(({ metadata }) => (!options?.namespace || metadata.namespace === options.namespace) && (!options?.labelSelector || options.labelSelector.split(',').every((pair) => metadata.labels?.[pair.split('=')[0]!] === pair.split('=')[1]))) }),
    post: async () => ({ status: { token: 'the-token' } }),
  } as ClusterReader;
  let output = '';
  let failed = false;
  const written = new Map<string, string>();
  const world: CommandWorld = {
    open: (options) => ({ client, namespace: options.namespace ?? 'default', close: () => {} }), askProxy: async () => dump, readFile: (path) => files[path] ?? '', writeFile: (folder, name, text) => void written.set(`${folder}/${name}`, text),
    print: (text) => { output += text; }, note: () => {}, fail: (message) => { failed = true; output += `Error: ${message}\n`; }, exitWith: () => { failed = true; }, now: () => new Date('2026-01-01T00:00:00Z'),
  };
  const program = new Command().exitOverride();
  addExperimental(program, world);
  addWaypoint(program, world);
  addZtunnelConfig(program, world);
  addProxyConfig(program, world);
  await program.parseAsync(words.split(' '), { from: 'user' });
  return { output, failed, files: written };
}

const WEBHOOK = `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: injector, labels: {istio.io/rev: default}}
webhooks:
- {name: a.istio.io, namespaceSelector: {matchExpressions: [{key: istio-injection, operator: In, values: [enabled]}]}, objectSelector: {matchExpressions: [{key: sidecar.istio.io/inject, operator: NotIn, values: ["false"]}]}}
`;

describe('x check-inject', () => {
  const hooks = [parse(WEBHOOK)];
  test.each([
    [{}, { 'istio-injection': 'enabled' }, true, 'Namespace label istio-injection=enabled matches'],
    [{ 'sidecar.istio.io/inject': 'false' }, { 'istio-injection': 'enabled' }, false, 'Pod has sidecar.istio.io/inject=false label, preventing injection'],
    [{}, { 'istio-injection': 'disabled' }, false, 'Namespace has istio-injection=disabled label, preventing injection'],
    [{}, {}, false, 'No matching namespace labels (istio-injection=enabled) or pod labels ()'],
  ])('%j in %j', (pod, namespace, injected, reason) => {
    expect(checkInjection(hooks, pod, namespace)).toEqual([{ name: 'injector', revision: 'default', injected, reason }]);
  });

  test('two webhooks for one pod are an error', () => {
    const verdict = { name: 'a', revision: '', injected: true, reason: '' };
    expect(injectionTable([verdict, verdict])).toContain('multiple webhooks will inject');
    expect(injectionTable([])).toContain('no Istio injection hooks');
  });

  test('reads the pod and its namespace', async () => {
    const cluster = `${WEBHOOK}---\n{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {istio-injection: enabled}}}\n---\n{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: shop}}`;
    expect((await run('x check-inject p.shop', cluster)).output).toMatch(/injector +default +✔ +Namespace label/);
    expect(await run('x check-inject')).toMatchObject({ failed: true });
    expect((await run('x check-inject nobody.shop', cluster)).output).toContain('not found');
  });
});

describe('x describe', () => {
  const cluster = `
{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: shop, labels: {app: a, version: v1}}, spec: {containers: [{name: c, ports: [{containerPort: 8080, name: web}]}, {name: istio-proxy}]}, status: {phase: Running, containerStatuses: [{name: istio-proxy, ready: true}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: a, namespace: shop}, spec: {selector: {app: a}, ports: [{name: http, port: 80, protocol: TCP, targetPort: web}]}}
---
{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: v, namespace: shop}, spec: {hosts: [a], http: [{match: [{uri: {exact: /x}, headers: {who: {prefix: me}}}], route: [{destination: {host: a, subset: v1}, weight: 100}]}, {route: [{destination: {host: a, subset: v9}}]}]}}
---
{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: d, namespace: shop}, spec: {host: a, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}}
---
{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: default, namespace: shop}, spec: {mtls: {mode: STRICT}}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: ""}}
`;
  const owner = (kind: string, name: string) => ({ metadata: { filterMetadata: { istio: { config: `/apis/networking.istio.io/v1/namespaces/shop/${kind}/${name}` } } } });
  const dump = JSON.stringify({ configs: [
    { '@type': 'x.ClustersConfigDump', dynamicActiveClusters: [{ cluster: { name: 'outbound|80||a.shop.svc.cluster.local', ...owner('destination-rule', 'd') } }] },
    { '@type': 'x.RoutesConfigDump', dynamicRouteConfigs: [{ routeConfig: { name: '80', virtualHosts: [{ domains: ['a.shop.svc.cluster.local'], routes: [owner('virtual-service', 'v')] }] } }] },
  ] });

  test('a pod', async () => {
    expect((await run('x describe pod p.shop -n shop', cluster, dump)).output).toBe([
      'Pod: p', '   Pod Revision: ', '   Pod Ports: 8080 (c)', '--------------------',
      'Service: a', '   Port: http 80/HTTP targets pod port 8080',
      'DestinationRule: d for "a"', '   Matching subsets: v1', '      (Non-matching subsets v2)', '   No Traffic Policy',
      'VirtualService: v', '   Route to host "a" subset "v1" with weight 100%', '   Match: /x when headers are who=me*', '   1 additional destination(s) that will not reach this pod',
      '--------------------', 'Effective PeerAuthentication:', '   Workload mTLS mode: STRICT', 'Applied PeerAuthentication:', '   default.shop', 'Skipping Gateway information (no ingress gateway pods)', '',
    ].join('\n'));
  });

  test('a service, and what is not there', async () => {
    expect((await run('x describe svc a -n shop', cluster, dump)).output).toContain('Service: a\n');
    expect(await run('x describe svc nobody', cluster)).toMatchObject({ failed: true, output: 'Error: services "nobody" not found\n' });
    const stale = await run('x describe svc a -n shop', cluster.replace('name: v, namespace: shop', 'name: w, namespace: shop'), dump);
    expect(stale.output).toContain('WARNING: Proxy is stale; it references to non-existent virtual service v.shop');
  });
});

describe('x workload', () => {
  test('group create', async () => {
    const { output } = await run('x workload group create --name g -n n -l a=b,c=d -p http=80 --weight 7');
    expect(parse(output)).toEqual({ apiVersion: 'networking.istio.io/v1', kind: 'WorkloadGroup', metadata: { name: 'g', namespace: 'n' }, spec: { metadata: { labels: { a: 'b', c: 'd' } }, template: { ports: { http: 80 }, serviceAccount: 'default', weight: 7 } } });
    expect((await run('x workload group create --name g -n n -p http=web')).output).toContain('"web" is not a number');
  });

  test('entry configure writes what a machine needs', async () => {
    const group = "{apiVersion: networking.istio.io/v1, kind: WorkloadGroup, metadata: {name: vm, namespace: n}, spec: {metadata: {labels: {app: shop}}, template: {serviceAccount: sa, network: net, ports: {http: 8080}}}}";
    const cluster = `
{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: "trustDomain: td\\ndefaultConfig: {meshId: m}"}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-sidecar-injector, namespace: istio-system}, data: {values: '{"global":{"multiCluster":{"clusterName":"c1"}}}'}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: istio-ca-root-cert, namespace: n}, data: {root-cert.pem: PEM}}
---
{apiVersion: v1, kind: Service, metadata: {name: istio-eastwestgateway, namespace: istio-system}, spec: {externalIPs: [10.0.0.9]}}
`;
    const { files, failed } = await run('x workload entry configure -f wg.yaml -o out', cluster, '', { 'wg.yaml': group });
    expect(failed).toBe(false);
    expect(Object.fromEntries(files)).toMatchObject({ 'out/hosts': '10.0.0.9 istiod.istio-system.svc\n', 'out/istio-token': 'the-token', 'out/root-cert.pem': 'PEM' });
    expect(files.get('out/cluster.env')).toContain("ISTIO_INBOUND_PORTS='8080'\n");
    expect(parse(files.get('out/mesh.yaml')!).defaultConfig.proxyMetadata).toMatchObject({ CANONICAL_SERVICE: 'shop', ISTIO_META_CLUSTER_ID: 'c1', ISTIO_META_MESH_ID: 'm', ISTIO_META_NETWORK: 'net', TRUST_DOMAIN: 'td', ISTIO_META_POD_PORTS: '[{"name":"http","containerPort":8080}]' });
    expect((await run('x workload entry configure -f wg.yaml -o out --internalIP 1.1.1.1 --externalIP 2.2.2.2')).output).toContain('mutually exclusive');
  });
});

describe('waypoint', () => {
  const gateway = (name: string, status: string) => `{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: ${name}, namespace: n}, spec: {gatewayClassName: istio-waypoint}, status: {conditions: [{type: Programmed, status: "${status}"}]}}`;
  test('list, status, generate', async () => {
    expect((await run('waypoint list -n n', gateway('w', 'True'))).output).toMatch(/^NAME +REVISION +TRAFFIC TYPE +PROGRAMMED\nw +default +none +True\n$/);
    expect((await run('waypoint list', '')).output).toBe('No waypoints found.\n');
    expect((await run('waypoint status -n n --wait=false', gateway('w', 'False'))).output).toMatch(/w +False +Programmed/);
    expect((await run('waypoint status -n n --waypoint-timeout 0s', gateway('w', 'False'))).output).toContain('timed out');
    expect(parse((await run('waypoint generate --for all -n n')).output)).toMatchObject({ metadata: { labels: { 'istio.io/waypoint-for': 'all' }, name: 'waypoint', namespace: 'n' } });
    expect((await run('waypoint generate --for nothing')).output).toContain('invalid traffic type');
  });
});

describe('proxies that are asked', () => {
  const pods = ['a', 'b'].map((name) => `{apiVersion: v1, kind: Pod, metadata: {name: ${name}, namespace: default}}`).join('\n---\n');
  const dump = (pem: string) => JSON.stringify({ configs: [{ '@type': 'x.SecretsConfigDump', dynamicActiveSecrets: [{ name: 'ROOTCA', secret: { validationContext: { trustedCa: { inlineBytes: Buffer.from(pem).toString('base64') } } } }] }] });

  test('log', async () => {
    expect((await run('proxy-config log a', pods, 'active loggers:\n  all: info\n')).output).toBe('a.default:\nactive loggers:\n  all: info\n');
    expect(loggingPaths('http:debug,redis:off')).toEqual(['logging?http=debug', 'logging?redis=off']);
    expect((await run('proxy-config log a --level loud', pods)).output).toContain('unrecognized logging level: loud');
    expect((await run('proxy-config log c', pods)).output).toContain('pods "c" not found');
  });

  test('rootca-compare', async () => {
    expect((await run('pc rootca-compare a b', pods, dump('-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----'))).output).toBe('Both [a.default] and [b.default] have the identical ROOTCA, theoretically the connectivity between them is available\n');
    expect(await run('pc rootca-compare a b', pods, dump(''))).toMatchObject({ failed: true });
    expect(await run('pc rootca-compare a', pods)).toMatchObject({ failed: true, output: 'Error: rootca-compare requires 2 pods as an argument\n' });
  });

  test('groups alone print their help, with an unknown word they fail', async () => {
    expect(await run('x describe')).toMatchObject({ failed: false, output: expect.stringContaining('Describe resource and related Istio configuration') as string });
    expect(await run('x describe thing')).toMatchObject({ failed: true, output: 'Error: unknown resource type "thing"\n' });
    expect(await run('pc nothing')).toMatchObject({ failed: true });
  });
});

describe('dumps', () => {
  test('ecds sections become one message', () => {
    const entry = (name: string) => ({ ecds_filter: { name, typed_config: { '@type': 'type.googleapis.com/t.T' } } });
    const dump = parseConfigDump(JSON.stringify({ configs: ['b', 'a'].map((name) => ({ '@type': 'type.googleapis.com/envoy.admin.v3.EcdsConfigDump', ecds_filters: [entry(name)] })) }));
    expect(ecdsTable(dump).split('\n').map((line) => line.trimEnd())).toEqual(['ECDS NAME     TYPE', 'a             t.T', 'b             t.T', '']);
    expect((sectionOf(dump, 'Ecds')['ecdsFilters'] as unknown[]).length).toBe(2);
    expect(sectionOf(dump, 'Bootstrap')).toEqual({});
  });

  test('a ztunnel\'s tables', async () => {
    const dump = JSON.stringify({
      workloads: [{ uid: 'u', name: 'w', namespace: 'n', workloadIps: ['10.0.0.1'], status: 'Healthy', protocol: 'HBONE', node: 'x', waypoint: { destination: 'n/wp.n.svc.cluster.local' } }],
      services: { '/10.1.0.1': { name: 'wp', namespace: 'n', hostname: 'wp.n.svc.cluster.local', vips: ['net/10.1.0.1'], endpoints: { e: { workloadUid: 'u' } } } },
      workloadState: { s: { info: { name: 'w', namespace: 'n' }, connections: { inbound: [], outbound: [{ src: '10.0.0.1:9', originalDst: '10.1.0.1:80', actualDst: '10.9.9.9:15008', protocol: 'HBONE' }] } } },
    });
    const show = async (words: string) => (await run(`ztunnel-config ${words} --file d`, '', '', { d: dump })).output;
    expect(await show('workload')).toMatch(/n +w +10\.0\.0\.1 +x +wp +HBONE/);
    expect((await show('workload --verbose=false')).replaceAll(/ +/g, ' ')).toBe('NAMESPACE POD NAME ADDRESS NODE\nn w 10.0.0.1 x\n');
    expect(await show('service')).toMatch(/n +wp +10\.1\.0\.1 +None +1\/1/);
    expect(await show('connections')).toMatch(/w\.n +Outbound +w\.n:9 +10\.9\.9\.9:15008 +wp\.n\.svc\.cluster\.local:80 +HBONE/);
    expect(await show('connections other.n')).not.toContain('Outbound');
    expect((await run('ztunnel-config all --file d', '', '', { d: '{}' })).output).toContain('no config dump of a ztunnel');
  });

  test('a ztunnel\'s workloads stand in the order of namespace.name', () => {
    const workloads = ['shop', 'shop-a', 'a'].map((namespace) => ({ namespace, name: 'w' }));
    expect(parseZtunnelDump(JSON.stringify({ workloads })).workloads.map((one) => one['namespace'])).toEqual(['a', 'shop-a', 'shop']);
  });
});

describe('proxy-config', () => {
  const pod = '{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: default}, status: {phase: Running}}';
  const socket = (address: string, portValue: number) => ({ address: { socketAddress: { address, portValue } } });
  const statuses = JSON.stringify({ clusterStatuses: [
    { name: 'outbound|80||b.x', hostStatuses: [{ ...socket('10.0.0.2', 9090), healthStatus: { edsHealthStatus: 'HEALTHY' } }, { ...socket('10.0.0.2', 443), healthStatus: { edsHealthStatus: 'UNHEALTHY', failedOutlierCheck: true } }] },
    { name: 'sds', hostStatuses: [{ address: { pipe: { path: '/run/sds' } } }] },
    { name: 'tunnel', hostStatuses: [{ ...socket('10.0.0.1', 15008), healthStatus: { edsHealthStatus: 'HEALTHY' } }, { address: { envoyInternalAddress: { serverListenerName: 'inner', endpointId: '1.2.3.4:80' } } }] },
  ] });
  const dump = JSON.stringify({ configs: [
    { '@type': 'x.BootstrapConfigDump', bootstrap: { node: { id: 'n' } } },
    { '@type': 'x.ListenersConfigDump', dynamicListeners: [{ activeState: { listener: { name: 'l', ...socket('0.0.0.0', 80), filterChains: [{ filters: [{ name: 'envoy.filters.network.tcp_proxy' }] }] } } }] },
    { '@type': 'x.EndpointsConfigDump', dynamicEndpointConfigs: [{ endpointConfig: { clusterName: 'outbound|80||b.x', endpoints: [{ locality: { region: 'r', zone: 'z' }, lbEndpoints: [{ healthStatus: 'HEALTHY', loadBalancingWeight: 1, endpoint: socket('10.0.0.2', 9090) }] }] } }] },
    { '@type': 'x.SecretsConfigDump', dynamicActiveSecrets: [{ name: 'late', versionInfo: 'uninitialized', secret: { name: 'late' } }], dynamicWarmingSecrets: [{ name: 'warm', secret: { name: 'warm' } }] },
  ] });
  const rows = (text: string) => text.trimEnd().split('\n').map((line) => line.trim().split(/ {2,}/));

  test.each(['clusters', 'listeners', 'routes', 'endpoints', 'eds', 'secret', 'bootstrap', 'ecds', 'all'])('%s needs a pod or a file, not both', async (name) => {
    for (const words of [`pc ${name}`, `pc ${name} p -f dump`]) expect(await run(words, pod, dump, { dump })).toMatchObject({ failed: true, output: expect.stringMatching(/^Error: \w+ requires pod name or --file parameter\n$/) as string });
  });

  test('endpoints of a proxy and of what was saved from one are sorted by address and port', async () => {
    const expected = [
      ['ENDPOINT', 'STATUS', 'OUTLIER CHECK', 'CLUSTER'], ['10.0.0.1:15008', 'HEALTHY', 'OK', 'tunnel'], ['10.0.0.2:443', 'UNHEALTHY', 'FAILED', 'outbound|80||b.x'], ['10.0.0.2:9090', 'HEALTHY', 'OK', 'outbound|80||b.x'],
      ['envoy://inner/1.2.3.4:80', 'UNKNOWN', 'OK', 'tunnel'], ['unix:///run/sds', 'UNKNOWN', 'OK', 'sds'],
    ];
    expect(rows((await run('pc endpoints p', pod, statuses)).output)).toEqual(expected);
    expect(rows((await run('pc ep -f saved', '', '{}', { saved: statuses })).output)).toEqual(expected);
    expect(rows((await run('pc ep -f dump', '', '{}', { dump })).output)[1]).toContain('outbound|80||b.x');
  });

  test('endpoints as JSON are the whole clusters that have one of the filter', async () => {
    const found = JSON.parse((await run('pc ep p --port 443 --cluster OUTBOUND|80||B.X -o json', pod, statuses)).output) as readonly { readonly name: string; readonly hostStatuses: readonly unknown[] }[];
    expect(found.map(({ name, hostStatuses }) => [name, hostStatuses.length])).toEqual([['outbound|80||b.x', 2]]);
  });

  test('endpoints as they were sent', async () => {
    const { output } = await run('pc eds p', pod, dump);
    expect(rows(output)).toHaveLength(2);
    expect(output).toContain('10.0.0.2:9090');
    expect(rows((await run('pc eds p --port 1', pod, dump)).output)).toHaveLength(1);
  });

  test('listeners in short, with Go spelling of the flag too', async () => {
    for (const flag of ['--no-verbose', '--verbose=false']) expect((await run(`pc l p ${flag}`, pod, dump)).output.replaceAll(/ +/g, ' ')).toBe('ADDRESSES PORT TYPE\n0.0.0.0 80 TCP\n');
  });

  test('the bootstrap is JSON unless a table is asked for', async () => {
    expect(JSON.parse((await run('pc b p', pod, dump)).output)).toMatchObject({ bootstrap: { node: { id: 'n' } } });
  });

  test('secrets that have not come', async () => {
    expect(rows((await run('pc s p', pod, dump)).output).slice(1)).toEqual([['warm', 'WARMING', 'false'], ['late', 'UNINITIALIZED', 'false']]);
  });

  test('log needs a pod or a selector, and one thing to do', async () => {
    expect((await run('pc log')).output).toBe('Error: log requires pod name or --selector\n');
    expect((await run('pc log p --level debug --reset', pod)).output).toContain('--level cannot be combined with --reset');
  });
});
