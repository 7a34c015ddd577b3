// Everything one agent run is told: arguments, environment, the files of the downward API. Reading is handed in, so this stays testable.
import { parseDurationMs } from '../base/duration.ts';
import type { KeyType } from '../identity/csr.ts';
import { resolveConcurrency, type Concurrency } from './concurrency.ts';
import { buildProxyIdentity, type ProxyIdentity } from './node-metadata.ts';
import { meshDefaults, parseAgentProxyConfig, type AgentProxyConfig, type ParseText } from './proxy-config.ts';

export type Env = Readonly<Record<string, string | undefined>>;

/** Reads a text file; undefined when it is not there. */
export type ReadText = (path: string) => string | undefined;

/** Sidecar or gateway. */
export type ProxyRole = 'sidecar' | 'router';

export interface AgentSettings {
  readonly role: ProxyRole;
  readonly identity: ProxyIdentity;
  readonly proxyConfig: AgentProxyConfig;
  /** `host:port` of the control plane's xDS. */
  readonly discoveryAddress: string;
  /** `host:port` of the CA. */
  readonly caAddress: string;
  readonly tokenPath: string;
  /** PEM roots of the control plane; also served as ROOTCA. */
  readonly rootPath: string;
  /** PEM roots of the CA, when it is not the control plane's (CA_ROOT_CA). */
  readonly caRootPath: string;
  /** Which of several signers of the CA is wanted (ISTIO_META_CERT_SIGNER). */
  readonly certSigner: string | undefined;
  /** Folder with cert-chain.pem, key.pem and root-cert.pem that somebody else renews; no CA is asked then. */
  readonly mountedCertificates: string | undefined;
  /** Folder that gets a copy of key, chain and roots (OUTPUT_CERTS), mode 0600; undefined: they live in memory only. */
  readonly outputCertificates: string | undefined;
  readonly trustDomain: string;
  /** SPIFFE id the certificate is asked for. */
  readonly spiffeId: string;
  /** Asked certificate lifetime. Default 24 h (SECRET_TTL). */
  readonly certificateTtlMs: number;
  readonly keyType: KeyType;
  /** Part of the lifetime (0–1) left at renewal, and how far the moment moves (SECRET_GRACE_PERIOD_RATIO, default 0.5, and …_JITTER, default 0.01). */
  readonly renewal: { readonly graceFraction: number; readonly jitterFraction: number };
  readonly podIp: string;
  readonly ports: AgentPorts;
  readonly dnsCapture: boolean;
  /** Wait for zero connections instead of a fixed time when terminating. */
  readonly exitOnZeroActiveConnections: boolean;
  /** Least time a terminating proxy keeps serving in that mode. Default 5000. */
  readonly minimumDrainMs: number;
  readonly concurrency: Concurrency;
  readonly proxyLogLevel: string;
  readonly proxyComponentLogLevel: string;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'none';
  /** Mark of the proxy's own packets, where users cannot tell them apart; 0 = none. */
  readonly socketMark: number;
  readonly dataPlane: 'meltemi' | 'envoy';
  readonly envoyPath: string;
}

export interface AgentPorts {
  readonly admin: number;
  /** The agent's own. */
  readonly status: number;
  /** `/stats/prometheus` of the proxy. */
  readonly prometheus: number;
  /** `/healthz/ready`. */
  readonly readiness: number;
  readonly dns: number;
}

/** Flags of `proxy`; all of them are accepted, those that have no meaning here are read and ignored. */
const VALUE_FLAGS = new Set([
  'domain', 'proxyLogLevel', 'proxyComponentLogLevel', 'log_output_level', 'concurrency', 'stsPort', 'serviceCluster', 'outlierLogPath', 'meshConfig', 'templateFile',
  'tokenManagerPlugin', 'profiling', 'trust-domain', 'log_caller', 'log_stacktrace_level', 'log_target', 'controlPlaneBootstrap', 'proxyAdminPort', 'statusPort', 'discoveryAddress',
]);
const BOOLEAN_FLAGS = new Set(['log_as_json', 'disableInternalTelemetry', 'outlierLog', 'vklog']);

/** Arguments after `proxy`. `problems` holds what cannot be understood, as sentences. */
export function parseProxyArgs(args: readonly string[]): { readonly role: ProxyRole; readonly flags: ReadonlyMap<string, string>; readonly problems: readonly string[] } {
  const flags = new Map<string, string>();
  const problems: string[] = [];
  let role: ProxyRole = 'sidecar';
  for (let i = 0; i < args.length; i++) {
    const match = /^--([^=]+)(?:=(.*))?$/s.exec(args[i]!);
    const name = match?.[1];
    if (name === undefined) {
      if (args[i] === 'sidecar' || args[i] === 'router') role = args[i] as ProxyRole;
      else problems.push(`proxy role must be sidecar or router, not ${JSON.stringify(args[i])}`);
    } else if (VALUE_FLAGS.has(name)) flags.set(name, match![2] ?? args[++i] ?? '');
    else if (BOOLEAN_FLAGS.has(name)) flags.set(name, match![2] ?? 'true');
    else problems.push(`unknown flag: --${name}`);
  }
  return { role, flags, problems };
}

/** Resolves the settings of `proxy <role>`. Throws a plain sentence when the environment contradicts itself. */
export function resolveSettings(args: readonly string[], env: Env, readText: ReadText, instanceIps: readonly string[], version: string, parse?: ParseText): AgentSettings {
  const { role, flags, problems } = parseProxyArgs(args);
  if (problems.length > 0) throw new Error(problems.join('; '));
  const proxyConfig = parseAgentProxyConfig(env['PROXY_CONFIG'], parse, meshDefaults(readText(meshConfigPath(args)), parse));
  const provider = env['CA_PROVIDER'] || 'Citadel';
  if (provider !== 'Citadel') throw new Error(`CA_PROVIDER=${provider} is not supported: leave it out for a CA that speaks Istio's protocol at CA_ADDR`);
  const namespace = env['POD_NAMESPACE'] || 'default';
  const trustDomain = env['TRUST_DOMAIN'] || 'cluster.local';
  const account = env['SERVICE_ACCOUNT'] || 'default';
  // A machine outside of Kubernetes says its address as `cluster.env` does.
  const podIp = env['INSTANCE_IP'] || env['ISTIO_SVC_IP'] || instanceIps[0] || '127.0.0.1';
  const ports: AgentPorts = {
    admin: proxyConfig.proxyAdminPort, status: proxyConfig.statusPort, prometheus: Number(env['ENVOY_PROMETHEUS_PORT'] || 15090),
    readiness: Number(env['ENVOY_STATUS_PORT'] || 15021), dns: Number((env['DNS_PROXY_ADDR'] || ':15053').split(':').pop()),
  };
  const discoveryAddress = flags.get('discoveryAddress') || proxyConfig.discoveryAddress;
  return {
    role, proxyConfig, ports, podIp, trustDomain, discoveryAddress,
    identity: identityOf({ role, env, readText, instanceIps, version, proxyConfig, podIp, namespace, ports, domain: domainOf(flags.get('domain'), namespace) }),
    caAddress: env['CA_ADDR'] || discoveryAddress,
    tokenPath: env['MELTEMI_TOKEN_PATH'] || '/var/run/secrets/tokens/istio-token',
    rootPath: env['XDS_ROOT_CA'] || rootPathOf(readText),
    caRootPath: env['CA_ROOT_CA'] || env['XDS_ROOT_CA'] || rootPathOf(readText),
    certSigner: env['ISTIO_META_CERT_SIGNER'] || undefined,
    mountedCertificates: mountedCertificates(env, readText),
    outputCertificates: env['OUTPUT_CERTS'] || undefined,
    spiffeId: `spiffe://${trustDomain}/ns/${namespace}/sa/${account}`,
    certificateTtlMs: certificateTtlMs(env['SECRET_TTL']),
    keyType: keyTypeOf(env),
    renewal: { graceFraction: fraction(env, 'SECRET_GRACE_PERIOD_RATIO', 0.5), jitterFraction: fraction(env, 'SECRET_GRACE_PERIOD_RATIO_JITTER', 0.01) },
    // As istio-iptables: without users to tell apart, the agent's own lookups would be captured too.
    dnsCapture: /^(1|t|true)$/i.test(env['ISTIO_META_DNS_CAPTURE'] ?? '') && !env['MELTEMI_SO_MARK'],
    exitOnZeroActiveConnections: /^(1|t|true)$/i.test(env['EXIT_ON_ZERO_ACTIVE_CONNECTIONS'] ?? ''),
    minimumDrainMs: durationMs(env['MINIMUM_DRAIN_DURATION']) ?? 5000,
    concurrency: resolveConcurrency(flags.get('concurrency'), proxyConfig.raw['concurrency'], env['ISTIO_CPU_LIMIT']),
    proxyLogLevel: flags.get('proxyLogLevel') || 'warning',
    proxyComponentLogLevel: flags.get('proxyComponentLogLevel') || '',
    logLevel: agentLogLevel(flags.get('log_output_level') ?? ''),
    socketMark: Number(env['MELTEMI_SO_MARK'] ?? 0) || 0,
    dataPlane: env['MELTEMI_DATA_PLANE'] === 'envoy' ? 'envoy' : 'meltemi',
    envoyPath: env['ENVOY_BIN'] || proxyConfig.binaryPath,
  };
}

const ROOT_PATH = '/var/run/secrets/istio/root-cert.pem';
/** Where the files of `x workload entry configure` put the roots. */
const MACHINE_ROOT_PATH = '/etc/certs/root-cert.pem';

function rootPathOf(readText: ReadText): string {
  return readText(ROOT_PATH) === undefined && readText(MACHINE_ROOT_PATH) !== undefined ? MACHINE_ROOT_PATH : ROOT_PATH;
}

/** The mesh's configuration on a machine outside of Kubernetes (`mesh.yaml`); pods are given PROXY_CONFIG instead. */
export function meshConfigPath(args: readonly string[]): string {
  return parseProxyArgs(args).flags.get('meshConfig') || '/etc/istio/config/mesh';
}

/** True when the text of settings needs a YAML parser. */
export function needsYaml(text: string | undefined): boolean {
  try {
    JSON.parse(text || '{}');
    return false;
  } catch {
    return true;
  }
}

/** EC keys sign twenty times faster than RSA, so they are the default; whoever needs RSA says so as in Istio. Throws a plain sentence for unknown values. */
function keyTypeOf(env: Env): KeyType {
  const size = env['WORKLOAD_RSA_KEY_SIZE'];
  const algorithm = env['ECC_SIGNATURE_ALGORITHM'] ?? '';
  if (algorithm !== '' && algorithm !== 'ECDSA') throw new Error(`ECC_SIGNATURE_ALGORITHM=${algorithm} is not supported: use ECDSA`);
  if (size !== undefined && algorithm === '') {
    if (size !== '2048' && size !== '3072' && size !== '4096') throw new Error(`WORKLOAD_RSA_KEY_SIZE=${size} is not supported: use 2048, 3072 or 4096`);
    return `rsa-${size}`;
  }
  const curve = env['ECC_CURVE'] || 'P256';
  if (curve !== 'P256' && curve !== 'P384') throw new Error(`ECC_CURVE=${curve} is not supported: use P256 or P384`);
  return curve === 'P256' ? 'ec-p256' : 'ec-p384';
}

function certificateTtlMs(text: string | undefined): number {
  if (text === undefined || text === '') return 24 * 3_600_000;
  const ms = parseDurationMs(text);
  if (ms === undefined || ms < 1000) throw new Error(`SECRET_TTL=${text} is not a duration of a second or more such as 24h0m0s`);
  return ms;
}

function fraction(env: Env, name: string, standard: number): number {
  const value = env[name] === undefined || env[name] === '' ? standard : Number(env[name]);
  if (!(value >= 0 && value <= 1)) throw new Error(`${name}=${env[name]} is not between 0 and 1`);
  return value;
}

/** Certificates that another system puts into the pod win over asking a CA. @see features.md §3.10 */
function mountedCertificates(env: Env, readText: ReadText): string | undefined {
  if (/^(1|t|true)$/i.test(env['FILE_MOUNTED_CERTS'] ?? '')) return '/etc/certs';
  const workload = '/var/run/secrets/workload-spiffe-credentials';
  return ['cert-chain.pem', 'key.pem', 'root-cert.pem'].every((file) => readText(`${workload}/${file}`) !== undefined) ? workload : undefined;
}

interface IdentityParts {
  readonly role: ProxyRole;
  readonly env: Env;
  readonly readText: ReadText;
  readonly instanceIps: readonly string[];
  readonly version: string;
  readonly proxyConfig: AgentProxyConfig;
  readonly podIp: string;
  readonly namespace: string;
  readonly ports: AgentPorts;
  readonly domain: string;
}

function identityOf({ role, env, readText, instanceIps, version, proxyConfig, podIp, namespace, ports, domain }: IdentityParts): ProxyIdentity {
  const pod = env['POD_NAME'] || 'unknown';
  return buildProxyIdentity({
    id: `${role}~${podIp}~${pod}.${namespace}~${domain}`,
    env,
    podLabels: parseDownwardFile(readText('/etc/istio/pod/labels') ?? ''),
    podAnnotations: parseDownwardFile(readText('/etc/istio/pod/annotations') ?? ''),
    instanceIps: [podIp, ...instanceIps],
    proxyConfig,
    agent: {
      ISTIO_VERSION: env['ISTIO_META_ISTIO_VERSION'] || version, ENVOY_STATUS_PORT: ports.readiness, ENVOY_PROMETHEUS_PORT: ports.prometheus,
      PILOT_SAN: [proxyConfig.discoveryAddress.replace(/:\d+$/, '')], METADATA_DISCOVERY: 'false',
    },
  });
}

/** `--domain` with an unexpanded `$(POD_NAMESPACE)` still in it (a shell, not a kubelet, started us) is completed. */
function domainOf(flag: string | undefined, namespace: string): string {
  return (flag || `${namespace}.svc.cluster.local`).replaceAll('$(POD_NAMESPACE)', namespace).replaceAll('${POD_NAMESPACE}', namespace);
}

/** Files of a downward API volume: `key="value"` a line, the value escaped as in Go. */
export function parseDownwardFile(text: string): Record<string, string> {
  const result: Record<string, string> = {};
  for (const line of text.split('\n')) {
    const at = line.indexOf('=');
    if (at <= 0 || line.slice(0, at) === '__proto__') continue;
    const raw = line.slice(at + 1).trim();
    result[line.slice(0, at).trim()] = unquote(raw);
  }
  return result;
}

function unquote(raw: string): string {
  if (!raw.startsWith('"')) return raw;
  try {
    // Go's \x.., \a and \v are not JSON's; JSON's \u is Go's.
    return JSON.parse(raw.replace(/\\x([0-9a-f]{2})/gi, '\\u00$1').replaceAll('\\a', '\\u0007').replaceAll('\\v', '\\u000b')) as string;
  } catch {
    return raw.replace(/^"|"$/g, '');
  }
}

function durationMs(text: string | undefined): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text ?? '');
  return match ? Number(match[1]) * { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match[2] as 'ms' | 's' | 'm' | 'h'] : undefined;
}

function agentLogLevel(text: string): AgentSettings['logLevel'] {
  const level = text.split(',').map((part) => part.split(':')).find(([scope, own]) => own === undefined || scope === 'default' || scope === 'all');
  const word = level?.[1] ?? level?.[0] ?? '';
  return word === 'debug' || word === 'info' || word === 'warn' || word === 'error' || word === 'none' ? word : 'info';
}
