/**
 * Who reaches whom, as one generated table: what a server's policy says at the levels of mesh, namespace, workload and port × what the client is and what
 * its DestinationRule says. The half of the server is asked of the proxy under test as a server, the half of the client of the same proxy as a client; what
 * is expected is written here from the rules of the API, not from our own resolution of them.
 * @see https://istio.io/latest/docs/reference/config/security/peer_authentication/
 */
import type { KubeObject } from '../../src/objects/meta.ts';
import type { BehaviourCase, Call, CaseFile, Expectation } from './case.ts';

type Mode = 'STRICT' | 'PERMISSIVE' | 'DISABLE';
type Level = Mode | 'UNSET' | undefined;

interface ServerPolicy {
  readonly mesh: Level;
  readonly namespace: Level;
  readonly workload: Level;
  /** With a workload's policy: modes of its ports. */
  readonly ports: Readonly<Record<number, Level>>;
}

const LEVELS: readonly Level[] = [undefined, 'PERMISSIVE', 'STRICT', 'DISABLE'];
const PORT_OVERRIDES: ServerPolicy['ports'] = { 7070: 'STRICT', 5000: 'DISABLE', 9000: 'PERMISSIVE', 9001: 'UNSET' };
/** Ports of a pod that speak HTTP or echo bytes: enough to see whether a connection is taken. */
const SERVER_PORTS = [8000, 7070, 5000, 9000] as const;

const RULE_MODES = ['none', 'DISABLE', 'ISTIO_MUTUAL'] as const;
type RuleMode = (typeof RULE_MODES)[number];
const SERVERS = [{ name: 'meshed', ip: '10.244.4.1', app: 'secure' }, { name: 'plain', ip: '10.244.2.1', app: 'ratings' }] as const;

/** All policies over the two outer levels, and each workload mode where it overrides something. */
function policies(): ServerPolicy[] {
  const outer = LEVELS.flatMap((mesh) => LEVELS.map((namespace): ServerPolicy => ({ mesh, namespace, workload: undefined, ports: {} })));
  const inner = ([['STRICT', undefined], [undefined, 'DISABLE'], [undefined, undefined]] as const).flatMap(([mesh, namespace]) =>
    (['UNSET', 'PERMISSIVE', 'STRICT', 'DISABLE'] as const).map((workload): ServerPolicy => ({ mesh, namespace, workload, ports: PORT_OVERRIDES })));
  return [...outer, ...inner];
}

/** The nearest level that says something; nothing at all is PERMISSIVE. */
function modeAt({ mesh, namespace, workload, ports }: ServerPolicy, port: number): Mode {
  return [ports[port], workload, namespace, mesh].find((level): level is Mode => level !== undefined && level !== 'UNSET') ?? 'PERMISSIVE';
}

function policyObject(name: string, namespace: string, spec: object): KubeObject {
  return { apiVersion: 'security.istio.io/v1', kind: 'PeerAuthentication', metadata: { name, namespace, creationTimestamp: '2026-01-01T00:00:00Z' }, spec } as unknown as KubeObject;
}

function policyObjects({ mesh, namespace, workload, ports }: ServerPolicy): KubeObject[] {
  const portLevelMtls = Object.fromEntries(Object.entries(ports).map(([port, mode]) => [port, { mode }]));
  return [
    ...(mesh ? [policyObject('default', 'istio-system', { mtls: { mode: mesh } })] : []),
    ...(namespace ? [policyObject('default', 'app', { mtls: { mode: namespace } })] : []),
    ...(workload ? ['client', 'secure'].map((app) => policyObject(app, 'app', { selector: { matchLabels: { app } }, mtls: { mode: workload }, portLevelMtls })) : []),
  ];
}

const addressOf = (server: number, rule: number): string => `10.96.7.${server * 10 + rule + 1}`;
const serviceName = (server: string, rule: RuleMode): string => `${server}-${rule.toLowerCase().replace('_', '-')}`;

/** A service for every kind of server and rule, over the same two pods. */
function services(): KubeObject[] {
  const ports = [{ name: 'http', port: 80, targetPort: 8000 }, { name: 'grpc', port: 7070, targetPort: 7070 }, { name: 'http-any', port: 5000, targetPort: 5000 }];
  return SERVERS.flatMap(({ name, ip, app }, server) => RULE_MODES.flatMap((rule, index) => {
    const service = serviceName(name, rule);
    const meta = (extra: object = {}): object => ({ name: service, namespace: 'app', creationTimestamp: '2026-01-01T00:00:00Z', ...extra });
    const objects: object[] = [
      { apiVersion: 'v1', kind: 'Service', metadata: meta(), spec: { clusterIP: addressOf(server, index), selector: { app }, ports } },
      { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata: meta({ labels: { 'kubernetes.io/service-name': service } }), addressType: 'IPv4', ports: ports.map(({ name: portName, targetPort }) => ({ name: portName, port: targetPort })), endpoints: [{ addresses: [ip], conditions: { ready: true }, targetRef: { kind: 'Pod', name: app } }] },
    ];
    if (rule !== 'none') objects.push({ apiVersion: 'networking.istio.io/v1', kind: 'DestinationRule', metadata: meta(), spec: { host: service, trafficPolicy: { tls: { mode: rule } } } });
    return objects as KubeObject[];
  }));
}

function serverCases(policy: ServerPolicy): BehaviourCase[] {
  return SERVER_PORTS.flatMap((port) => [false, true].map((meshed): BehaviourCase => {
    const mode = modeAt(policy, port);
    const bytes = port === 9000 || (port === 5000 && meshed);
    const ok: Expectation = bytes ? { body: 'client: hello there' } : { status: 200, backend: 'client' };
    // Where mutual TLS is off the proxy passes the bytes on, and the application is what ends the TLS.
    const taken = mode === 'PERMISSIVE' || (mode === 'STRICT') === meshed || (mode === 'DISABLE' && bytes);
    const alpn = bytes ? 'istio' : port === 7070 ? 'istio-h2' : 'istio-http/1.1';
    const call: Call = {
      inbound: port, ...(bytes ? { protocol: 'tcp' as const, send: 'hello there' } : port === 7070 ? { protocol: 'http2' as const } : {}),
      ...(meshed ? { tls: { mesh: true, alpn: [alpn] } } : {}), expect: taken ? ok : { closed: true, counts: {} },
    };
    return { id: `${port} ${meshed ? 'mutual TLS' : 'plaintext'} to ${mode}`, backends: {}, calls: [call], stats: {} };
  }));
}

/** What the client sends: the rule's will; else mutual TLS to those who can take it and are not told to refuse it. Clients believe a policy of mesh or namespace that turns it off. */
function sends(policy: ServerPolicy, meshed: boolean, rule: RuleMode, port: number): 'mutual TLS' | 'plaintext' {
  if (rule !== 'none') return rule === 'DISABLE' ? 'plaintext' : 'mutual TLS';
  const outer = modeAt({ ...policy, workload: undefined, ports: {} }, port);
  return meshed && outer !== 'DISABLE' && modeAt(policy, port) !== 'DISABLE' ? 'mutual TLS' : 'plaintext';
}

function clientCases(policy: ServerPolicy): BehaviourCase[] {
  return SERVERS.flatMap(({ name, app }, server) => RULE_MODES.flatMap((rule, index) => [[80, 8000], [5000, 5000]].map(([port, target]): BehaviourCase => {
    const how = sends(policy, name === 'meshed', rule, target!);
    const client = how === 'plaintext' ? '' : 'URI:spiffe://cluster.local/ns/app/sa/client';
    const call: Call = { to: `${addressOf(server, index)}:${port}`, host: `${serviceName(name, rule)}.app.svc.cluster.local:${port}`, expect: { status: 200, backend: app, received: { client } } };
    // No connection is kept: Envoy would go on using one that was made under the policy before.
    const backends = { [app]: { headers: { connection: 'close' } } };
    return { id: `${how} to a ${name} server at ${port}, rule ${rule}`, backends, calls: [call], stats: {} };
  })));
}

/** One file for every policy of the server. */
export function reachabilityCases(): CaseFile[] {
  return policies().map((policy) => {
    const words = [policy.mesh && `mesh ${policy.mesh}`, policy.namespace && `namespace ${policy.namespace}`, policy.workload && `workload ${policy.workload} with ports`].filter(Boolean);
    const id = `reachability/${words.join(', ') || 'no policy'}`;
    const cases = [...serverCases(policy), ...clientCases(policy)].map((each) => ({ ...each, id: `${id}/${each.id}` }));
    return { id, objects: [...policyObjects(policy), ...services()], cases };
  });
}
