/** A random mesh that changes at random, the same for a seed: services, pods and every kind of Istio's objects that configuration is made of. */
import { parse } from 'yaml';
import type { KubeObject } from '../../../objects/meta.ts';

export interface RandomMesh {
  readonly objects: ReadonlyMap<string, KubeObject>;
  /** Mesh config as text and read. */
  readonly config: string | undefined;
  readonly configValue: unknown;
  /** Changes something and names what. */
  change(): readonly KubeObject[];
}

type Random = (below: number) => number;
type Body = Record<string, unknown>;

/** @see https://prng.di.unimi.it/splitmix64.c (reduced to 32 bits) */
function randomOf(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) % below;
  };
}

const NAMESPACES = ['one', 'two', 'three', 'istio-system'];
const SERVICES = 6;
const PODS = 9;

class Maker implements RandomMesh {
  readonly objects = new Map<string, KubeObject>();
  config: string | undefined;
  private serial = 0;

  constructor(private readonly random: Random) {
    for (const name of NAMESPACES) this.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } } as KubeObject);
    for (const [zone, node] of [['a', 'n1'], ['b', 'n2']]) this.put({ apiVersion: 'v1', kind: 'Node', metadata: { name: node, labels: { 'topology.kubernetes.io/region': 'r1', 'topology.kubernetes.io/zone': zone } } } as unknown as KubeObject);
    for (let index = 0; index < SERVICES; index++) this.service(index);
    for (let index = 0; index < PODS; index++) this.pod(index);
    for (let index = 0; index < SERVICES; index++) this.slice(index);
    for (let index = 0; index < 6; index++) this.change();
  }

  get configValue(): unknown {
    return this.config === undefined ? undefined : (parse(this.config) as unknown);
  }

  change(): readonly KubeObject[] {
    const table: readonly (readonly [weight: number, make: () => KubeObject])[] = [
      [5, () => this.slice(this.random(SERVICES))], [2, () => this.service(this.random(SERVICES))], [2, () => this.pod(this.random(PODS))], [5, () => this.virtualService()], [4, () => this.destinationRule()],
      [2, () => this.sidecar()], [2, () => this.serviceEntry()], [1, () => this.peerAuthentication()], [1, () => this.authorizationPolicy()], [2, () => this.gateway()], [1, () => this.envoyFilter()], [1, () => this.meshConfig()], [3, () => this.remove()],
    ];
    let left = this.random(table.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, make] of table) {
      if (left < weight) return [make()];
      left -= weight;
    }
    return [];
  }

  private pick<T>(list: readonly T[]): T {
    return list[this.random(list.length)]!;
  }

  private maybe(body: Body, outOf = 2): Body {
    return this.random(outOf) === 0 ? body : {};
  }

  private put(object: KubeObject): KubeObject {
    this.objects.set(`${object.kind}/${object.metadata.namespace ?? ''}/${object.metadata.name}`, object);
    return object;
  }

  private istio(group: string, kind: string, names: readonly string[], namespace: string, spec: Body): KubeObject {
    const name = this.pick(names);
    const before = this.objects.get(`${kind}/${namespace}/${name}`);
    const creationTimestamp = before?.metadata.creationTimestamp ?? new Date(Date.UTC(2026, 0, 1, 0, 0, this.serial++)).toISOString();
    return this.put({ apiVersion: `${group}/v1`, kind, metadata: { name, namespace, creationTimestamp }, spec } as unknown as KubeObject);
  }

  private remove(): KubeObject {
    const [key, object] = this.pick([...this.objects].filter(([, { kind }]) => kind !== 'Namespace' && kind !== 'Node'));
    this.objects.delete(key);
    return object;
  }

  private host(): string {
    return this.pick([...Array.from({ length: SERVICES }, (_, index) => `s${index}.${NAMESPACES[index % 2]}.svc.cluster.local`), 'ext.example.com', 'nowhere.example.com']);
  }

  private service(index: number): KubeObject {
    const all = [
      { name: 'http', port: 80, targetPort: 8080 }, { name: 'tcp-db', port: 3306, targetPort: 3306 }, { name: 'auto', port: 9000, targetPort: 9000, appProtocol: undefined }, { name: 'tls', port: 443, targetPort: 8443 },
      { name: 'grpc', port: 81, targetPort: 'named' }, { name: 'http-alt', port: 8000, targetPort: 8080 },
    ];
    const ports = all.filter(() => this.random(2) === 0);
    return this.put({
      apiVersion: 'v1', kind: 'Service', metadata: { name: `s${index}`, namespace: NAMESPACES[index % 2], ...this.maybe({ annotations: { 'networking.istio.io/exportTo': this.pick(['.', '*', 'two,three', '~']) } }, 4), ...this.maybe({ labels: { 'istio.io/persistent-session': 'cookie' } }, 5) },
      spec: {
        clusterIP: this.random(4) === 0 ? 'None' : `10.96.0.${index + 1}`, selector: { app: `s${index % 3}` }, ports: ports.length > 0 ? ports : [all[0]],
        ...this.maybe({ trafficDistribution: 'PreferClose' }, 6), ...this.maybe({ publishNotReadyAddresses: true }, 6),
      },
    } as unknown as KubeObject);
  }

  private pod(index: number): KubeObject {
    return this.put({
      apiVersion: 'v1', kind: 'Pod', metadata: { name: `pod-${index}`, namespace: NAMESPACES[index < 2 ? 0 : index < 4 ? 1 : this.random(2)], labels: { app: `s${this.random(3)}`, version: this.pick(['v1', 'v2']), ...this.maybe({ 'security.istio.io/tlsMode': 'istio' }) } },
      spec: { serviceAccountName: this.pick(['a', 'b']), nodeName: this.pick(['n1', 'n2']), containers: [{ name: 'app', ports: [{ name: 'named', containerPort: 8081 }] }] }, status: { phase: 'Running', podIP: `10.1.0.${index}`, conditions: [{ type: 'Ready', status: 'True' }] },
    } as unknown as KubeObject);
  }

  private slice(index: number): KubeObject {
    const pods = Array.from({ length: PODS }, (_, pod) => pod).filter(() => this.random(3) > 0);
    return this.put({
      apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata: { name: `s${index}-1`, namespace: NAMESPACES[index % 2], labels: { 'kubernetes.io/service-name': `s${index}` } }, addressType: 'IPv4',
      ports: [{ name: 'http', port: 8080 }, { name: 'tcp-db', port: 3306 }, { name: 'auto', port: 9000 }, { name: 'grpc', port: 8081 }, { name: 'tls', port: 8443 }],
      endpoints: pods.map((pod) => ({ addresses: [`10.1.0.${pod}`], conditions: { ready: this.random(5) > 0, ...this.maybe({ terminating: true, serving: this.random(2) === 0 }, 5) }, ...this.maybe({ hostname: `pod-${pod}` }, 3) })),
    } as unknown as KubeObject);
  }

  private destination(): Body {
    return { host: this.host(), ...this.maybe({ subset: this.pick(['v1', 'v2']) }), ...this.maybe({ port: { number: this.pick([80, 81, 3306, 443]) } }) };
  }

  private virtualService(): KubeObject {
    const match = (): Body => ({ ...this.maybe({ uri: { prefix: `/${this.random(3)}` } }), ...this.maybe({ headers: { end: { exact: 'x' } } }, 3), ...this.maybe({ sourceLabels: { version: 'v1' } }, 4), ...this.maybe({ sourceNamespace: 'one' }, 5), ...this.maybe({ port: this.pick([80, 81]) }, 5) });
    const weighted = (): Body[] => (this.random(2) === 0 ? [{ destination: this.destination() }] : [{ destination: this.destination(), weight: 30 }, { destination: this.destination(), weight: 70 }]);
    const http = Array.from({ length: 1 + this.random(2) }, () => ({ ...this.maybe({ match: [match()] }), route: weighted(), ...this.maybe({ timeout: `${1 + this.random(5)}s` }), ...this.maybe({ fault: { abort: { percentage: { value: 10 }, httpStatus: 500 } } }, 4), ...this.maybe({ mirror: this.destination() }, 5) }));
    return this.istio('networking.istio.io', 'VirtualService', ['va', 'vb', 'vc', 'vd'], this.pick(NAMESPACES), {
      hosts: [this.pick([this.host(), '*.one.svc.cluster.local', 'unknown.example.com', '*'])], ...this.maybe({ exportTo: [this.pick(['.', '*', 'two'])] }, 3), ...this.maybe({ gateways: this.random(2) === 0 ? ['one/gw'] : ['mesh', 'one/gw', 'istio-system/gw'] }, 3), http,
      ...this.maybe({ tcp: [{ ...this.maybe({ match: [{ port: 3306, ...this.maybe({ sourceLabels: { app: 's0' } }) }] }), route: [{ destination: this.destination() }] }] }, 3),
      ...this.maybe({ tls: [{ match: [{ port: 443, sniHosts: [this.host()] }], route: [{ destination: this.destination() }] }] }, 3),
    });
  }

  private destinationRule(): KubeObject {
    const policy = (): Body => ({
      ...this.maybe({ loadBalancer: this.pick<Body>([
        { simple: 'RANDOM' }, { simple: 'PASSTHROUGH' }, { consistentHash: { httpHeaderName: `x-${this.random(3)}` } }, { localityLbSetting: { enabled: true, failoverPriority: ['version', 'topology.kubernetes.io/zone'] } },
        { localityLbSetting: { enabled: true, distribute: [{ from: 'r1/a/*', to: { 'r1/a/*': 80, 'r1/b/*': 20 } }] } },
      ]) }),
      ...this.maybe({ tls: { mode: this.pick(['DISABLE', 'ISTIO_MUTUAL', 'SIMPLE']) } }, 3), ...this.maybe({ outlierDetection: { consecutive5xxErrors: this.random(9) } }), ...this.maybe({ connectionPool: { tcp: { maxConnections: 1 + this.random(9) } } }, 3),
      ...this.maybe({ tunnel: { protocol: 'CONNECT', targetHost: 'x.example.com', targetPort: 443 } }, 6),
    });
    return this.istio('networking.istio.io', 'DestinationRule', ['da', 'db', 'dc'], this.pick(NAMESPACES), {
      host: this.pick([this.host(), this.host(), '*.two.svc.cluster.local']), trafficPolicy: { ...policy(), ...this.maybe({ portLevelSettings: [{ port: { number: 80 }, ...policy() }] }, 3) },
      ...this.maybe({ subsets: [{ name: 'v1', labels: { version: 'v1' }, ...this.maybe({ trafficPolicy: policy() }) }, ...(this.random(2) === 0 ? [{ name: 'v2', labels: { version: 'v2' } }] : [])] }),
      ...this.maybe({ exportTo: [this.pick(['.', '*'])] }, 4), ...this.maybe({ workloadSelector: { matchLabels: { version: this.pick(['v1', 'v2']) } } }, 5),
    });
  }

  private sidecar(): KubeObject {
    return this.istio('networking.istio.io', 'Sidecar', ['sa', 'sb'], this.pick(['one', 'two', 'istio-system']), {
      ...this.maybe({ workloadSelector: { labels: { version: 'v1' } } }),
      ...this.maybe({ egress: [{ hosts: [this.pick(['./*', '*/*', 'one/*', 'two/s1.two.svc.cluster.local'])] }, ...(this.random(2) === 0 ? [{ port: { number: 80, protocol: 'HTTP', name: 'http' }, hosts: ['one/*'] }] : [])] }),
      ...this.maybe({ ingress: [{ port: { number: 8080, protocol: 'HTTP', name: 'http' }, defaultEndpoint: this.pick(['127.0.0.1:8080', '0.0.0.0:9090']) }] }, 3), ...this.maybe({ outboundTrafficPolicy: { mode: this.pick(['REGISTRY_ONLY', 'ALLOW_ANY', 'ALLOW_ANY_DYNAMIC_DNS']) } }, 3),
    });
  }

  private serviceEntry(): KubeObject {
    const resolution = this.pick(['DNS', 'STATIC', 'NONE', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS']);
    const addresses = resolution === 'STATIC' ? ['10.7.0.1', '10.7.0.2'] : ['a.example.com', 'b.example.com'];
    return this.istio('networking.istio.io', 'ServiceEntry', ['ea', 'eb'], this.pick(['one', 'two']), {
      hosts: [resolution === 'DYNAMIC_DNS' ? '*.example.com' : 'ext.example.com'], resolution, location: this.pick(['MESH_EXTERNAL', 'MESH_INTERNAL']), ports: [{ number: 80, name: 'http', protocol: 'HTTP' }, { number: 443, name: 'tls', protocol: 'TLS' }],
      ...(resolution === 'NONE' || resolution === 'DYNAMIC_DNS' ? {} : { endpoints: addresses.filter(() => this.random(3) > 0).map((address) => ({ address, ...this.maybe({ weight: 1 + this.random(5) }), ...this.maybe({ labels: { version: 'v1' } }) })) }), ...this.maybe({ addresses: [`10.97.0.${this.random(3)}`] }), ...this.maybe({ exportTo: ['.'] }, 4),
    });
  }

  private peerAuthentication(): KubeObject {
    return this.istio('security.istio.io', 'PeerAuthentication', ['pa'], this.pick(NAMESPACES), { ...this.maybe({ selector: { matchLabels: { app: 's0' } } }), mtls: { mode: this.pick(['STRICT', 'PERMISSIVE', 'DISABLE']) } });
  }

  private authorizationPolicy(): KubeObject {
    return this.istio('security.istio.io', 'AuthorizationPolicy', ['aa', 'ab'], this.pick(NAMESPACES), { ...this.maybe({ selector: { matchLabels: { version: 'v1' } } }), action: this.pick(['ALLOW', 'DENY']), rules: [{ to: [{ operation: { paths: [`/${this.random(4)}`] } }] }] });
  }

  private gateway(): KubeObject {
    const servers = [{ port: { number: 80, protocol: 'HTTP', name: 'http' }, hosts: [this.pick(['*', 'unknown.example.com', '*.one.svc.cluster.local'])], ...this.maybe({ tls: { httpsRedirect: true } }, 4) },
      { port: { number: 443, protocol: 'HTTPS', name: 'https' }, hosts: ['*'], tls: { mode: 'SIMPLE', credentialName: `cert-${this.random(2)}` } }, { port: { number: 15443, protocol: 'TLS', name: 'tls' }, hosts: ['*.local'], tls: { mode: 'AUTO_PASSTHROUGH' } }];
    return this.istio('networking.istio.io', 'Gateway', ['gw'], this.pick(['one', 'istio-system']), { selector: { istio: 'ingressgateway' }, servers: servers.filter((_, index) => index === 0 || this.random(2) === 0) });
  }

  private envoyFilter(): KubeObject {
    const patches: readonly Body[] = [
      { applyTo: 'CLUSTER', patch: { operation: 'MERGE', value: { connect_timeout: `${1 + this.random(5)}s` } }, ...this.maybe({ match: { cluster: { service: this.host() } } }) },
      { applyTo: 'HTTP_ROUTE', match: { context: 'SIDECAR_OUTBOUND' }, patch: { operation: 'MERGE', value: { request_headers_to_remove: [`x-${this.random(3)}`] } } },
      { applyTo: 'LISTENER', match: { context: 'SIDECAR_INBOUND' }, patch: { operation: 'MERGE', value: { per_connection_buffer_limit_bytes: 1024 * (1 + this.random(5)) } } },
    ];
    return this.istio('networking.istio.io', 'EnvoyFilter', ['fa'], this.pick(['one', 'two']), { ...this.maybe({ workloadSelector: { labels: { version: 'v1' } } }), configPatches: [this.pick(patches)] });
  }

  private meshConfig(): KubeObject {
    this.config = JSON.stringify({
      ...this.maybe({ outboundTrafficPolicy: { mode: this.pick(['REGISTRY_ONLY', 'ALLOW_ANY', 'ALLOW_ANY_DYNAMIC_DNS']) } }), ...this.maybe({ enableAutoMtls: false }, 3), ...this.maybe({ accessLogFile: '/dev/stdout' }), ...this.maybe({ proxyHttpPort: 15080 }, 3),
      ...this.maybe({ enableTracing: true, defaultConfig: { tracing: { zipkin: { address: 's0.one.svc.cluster.local:80' }, sampling: 10 } } }, 3), ...this.maybe({ localityLbSetting: { enabled: true, failoverPriority: ['version'] } }, 3),
    });
    return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'istio', namespace: 'istio-system' } } as KubeObject;
  }
}

export function randomMesh(seed: number): RandomMesh {
  return new Maker(randomOf(seed));
}
