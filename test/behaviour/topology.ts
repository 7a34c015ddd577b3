/** Who has which address in the namespace of a run; `base.yaml` says the same to the mesh. */

/** Service addresses by the short name used in `to:`. */
export const SERVICE_ADDRESS: ReadonlyMap<string, string> = new Map([
  ['client', '10.96.0.10'], ['reviews', '10.96.0.20'], ['ratings', '10.96.0.21'], ['details', '10.96.0.22'], ['secure', '10.96.0.23'], ['empty', '10.96.0.24'],
]);

/** Backends by their address. `outside-*` are not in the mesh until a ServiceEntry says so. */
export const BACKEND_OF_ADDRESS: ReadonlyMap<string, string> = new Map([
  ['10.244.0.10', 'client'], ['10.244.1.1', 'reviews-v1'], ['10.244.1.2', 'reviews-v2'], ['10.244.1.3', 'reviews-v3'], ['10.244.2.1', 'ratings'], ['10.244.3.1', 'details'],
  ['10.244.4.1', 'secure'], ['10.99.0.1', 'outside-1'], ['10.99.0.2', 'outside-2'], ['10.99.0.3', 'outside-3'],
]);

/** Names outside of the mesh that the proxies can look up, for hosts that come by name. */
export const OUTSIDE_NAMES: ReadonlyMap<string, string> = new Map([['one.dynamic.test', '10.99.0.1'], ['two.dynamic.test', '10.99.0.2'], ['three.dynamic.test', '10.99.0.3'], ['undeclared.test', '10.99.0.3']]);

export const SIDECAR_IP = '10.244.0.10';
export const GATEWAY_IP = '10.244.0.30';
/** A client in another pod, for inbound and gateway calls. */
export const PEER_IP = '10.244.9.9';
/** Packets to this address vanish: connect timeouts. */
export const BLACK_HOLE_IP = '10.99.0.250';

/** Ports all backends listen on. */
export const BACKEND_PORTS = { http: 8000, grpc: 7070, tcp: 9000, banner: 9001, any: 5000, tls: 8444 } as const;

/** Group of the proxies, whose connections are not redirected. */
export const PROXY_GROUP = 1337;

/** Networks whose every address is local. */
export const LOCAL_NETWORKS: readonly string[] = ['10.244.0.0/16', '10.96.0.0/16', '10.99.0.0/16', '240.240.0.0/16'];

export interface ProxyUnderTest {
  readonly role: 'sidecar' | 'router';
  readonly name: string;
  readonly namespace: string;
  readonly ip: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly adminPort: number;
  readonly statusPort: number;
  readonly prometheusPort: number;
  readonly readinessPort: number;
}

export const SIDECAR: ProxyUnderTest = { role: 'sidecar', name: 'client', namespace: 'app', ip: SIDECAR_IP, labels: { app: 'client', version: 'v1', 'istio-locality': 'r1.z1' }, adminPort: 15000, statusPort: 15020, prometheusPort: 15090, readinessPort: 15021 };
export const GATEWAY: ProxyUnderTest = { role: 'router', name: 'gateway', namespace: 'istio-system', ip: GATEWAY_IP, labels: { istio: 'ingressgateway' }, adminPort: 16000, statusPort: 16020, prometheusPort: 16090, readinessPort: 16021 };
