/** What istiod's environment says about its CA. Names and defaults are Istio's. @see features.md App. C */
import { parseDurationMs } from '../../base/duration.ts';
import { DEFAULT_WORKLOAD_TTL_MS, MAX_WORKLOAD_TTL_MS, ROOT_TTL_MS } from '../../identity/ca.ts';
import type { KeyType } from '../../identity/csr.ts';

type Env = Readonly<Record<string, string | undefined>>;

const HOUR_MS = 3_600_000;

/** What the control plane does about certificates. */
export interface CaSettings {
  /** CITADEL_SELF_SIGNED_CA_CERT_TTL. Default 10 years. */
  readonly rootTtlMs: number;
  /** CITADEL_SELF_SIGNED_CA_RSA_KEY_SIZE. Default: EC P-256, which signs twenty times faster than RSA. */
  readonly rootKeyType: KeyType;
  /** CITADEL_SELF_SIGNED_ROOT_CERT_CHECK_INTERVAL. Default 1 h; 0: the root is never changed. */
  readonly rootCheckMs: number;
  /** CITADEL_SELF_SIGNED_ROOT_CERT_GRACE_PERIOD_PERCENTILE as a fraction (0–1). Default 0.2. */
  readonly rootGraceFraction: number;
  /** CITADEL_ENABLE_JITTER_FOR_ROOT_CERT_ROTATOR: replicas do not look at the same moment. Default true. */
  readonly rootJitter: boolean;
  /** DEFAULT_WORKLOAD_CERT_TTL. Default 24 h. */
  readonly defaultTtlMs: number;
  /** MAX_WORKLOAD_CERT_TTL. Default 90 days. */
  readonly maxTtlMs: number;
  /** USE_CACERTS_FOR_SELF_SIGNED_CA: the self-signed root is kept in `cacerts`. Default false. */
  readonly useCacerts: boolean;
  /** ROOT_CA_DIR: where a plugged-in CA may be mounted. Default `./etc/cacerts`. */
  readonly rootCaDir: string;
  /** ENABLE_CA_SERVER. Default true; false: workloads get their certificates elsewhere. */
  readonly serveCa: boolean;
  /** TOKEN_AUDIENCES, or AUDIENCE: a caller's token must be for one of them. Default `istio-ca`. */
  readonly tokenAudiences: readonly string[];
  /** Who signs for workloads instead of our own CA; undefined: nobody. */
  readonly registration: RegistrationSettings | undefined;
  /** What could not be understood, as sentences. */
  readonly problems: readonly string[];
}

/** EXTERNAL_CA=ISTIOD_RA_KUBERNETES_API: requests go to the certificates API of Kubernetes. */
export interface RegistrationSettings {
  /** K8S_SIGNER, or the signer that PILOT_CERT_PROVIDER names after `k8s.io/`. */
  readonly signerName: string;
  /** CERT_SIGNER_DOMAIN: proxies may choose a signer `<domain>/<name>` by ISTIO_META_CERT_SIGNER. */
  readonly signerDomain: string | undefined;
  /** PILOT_CERT_PROVIDER is `k8s.io/…`: istiod's own serving certificate comes from there too. */
  readonly forServing: boolean;
}

/** Reads the environment; what cannot be read keeps its default and is a problem. */
export function readCaSettings(env: Env): CaSettings {
  const problems: string[] = [];
  const duration = (name: string, standardMs: number): number => {
    const text = env[name];
    if (text === undefined || text === '') return standardMs;
    const ms = parseDurationMs(text);
    if (ms === undefined) problems.push(`${name}=${text} is not a duration such as 24h; ${standardMs / 1000}s is used`);
    return ms ?? standardMs;
  };
  const flag = (name: string, standard: boolean): boolean => (env[name] ? /^(1|t|true)$/i.test(env[name]) : standard);
  const percent = Number(env['CITADEL_SELF_SIGNED_ROOT_CERT_GRACE_PERIOD_PERCENTILE'] || 20);
  if (!(percent > 0 && percent < 100)) problems.push(`CITADEL_SELF_SIGNED_ROOT_CERT_GRACE_PERIOD_PERCENTILE=${env['CITADEL_SELF_SIGNED_ROOT_CERT_GRACE_PERIOD_PERCENTILE']} is not between 0 and 100; 20 is used`);
  return {
    rootTtlMs: duration('CITADEL_SELF_SIGNED_CA_CERT_TTL', ROOT_TTL_MS),
    rootKeyType: rsaKeyType('CITADEL_SELF_SIGNED_CA_RSA_KEY_SIZE', env, problems) ?? 'ec-p256',
    rootCheckMs: Math.max(0, duration('CITADEL_SELF_SIGNED_ROOT_CERT_CHECK_INTERVAL', HOUR_MS)),
    rootGraceFraction: percent > 0 && percent < 100 ? percent / 100 : 0.2,
    rootJitter: flag('CITADEL_ENABLE_JITTER_FOR_ROOT_CERT_ROTATOR', true),
    defaultTtlMs: duration('DEFAULT_WORKLOAD_CERT_TTL', DEFAULT_WORKLOAD_TTL_MS),
    maxTtlMs: duration('MAX_WORKLOAD_CERT_TTL', MAX_WORKLOAD_TTL_MS),
    useCacerts: flag('USE_CACERTS_FOR_SELF_SIGNED_CA', false),
    rootCaDir: env['ROOT_CA_DIR'] || './etc/cacerts',
    serveCa: flag('ENABLE_CA_SERVER', true),
    tokenAudiences: (env['TOKEN_AUDIENCES'] || env['AUDIENCE'] || 'istio-ca').split(',').map((one) => one.trim()).filter((one) => one !== ''),
    registration: registrationOf(env, problems),
    problems,
  };
}

function rsaKeyType(name: string, env: Env, problems: string[]): KeyType | undefined {
  const text = env[name];
  if (text === undefined || text === '') return undefined;
  if (text === '2048' || text === '3072' || text === '4096') return `rsa-${text}`;
  problems.push(`${name}=${text} is not 2048, 3072 or 4096; 2048 is used`);
  return 'rsa-2048';
}

function registrationOf(env: Env, problems: string[]): RegistrationSettings | undefined {
  const external = env['EXTERNAL_CA'] ?? '';
  const provider = env['PILOT_CERT_PROVIDER'] ?? 'istiod';
  const providerSigner = provider.startsWith('k8s.io/') ? provider.slice('k8s.io/'.length) : undefined;
  if (external !== '' && external !== 'ISTIOD_RA_KUBERNETES_API') problems.push(`EXTERNAL_CA=${external} is not known; the only one is ISTIOD_RA_KUBERNETES_API`);
  if (external !== 'ISTIOD_RA_KUBERNETES_API') return undefined;
  const signerName = env['K8S_SIGNER'] || providerSigner;
  if (!signerName) {
    problems.push('EXTERNAL_CA=ISTIOD_RA_KUBERNETES_API needs K8S_SIGNER: the name of the signer, such as clusterissuers.cert-manager.io/istio-ca; our own CA signs');
    return undefined;
  }
  return { signerName, signerDomain: env['CERT_SIGNER_DOMAIN'] || undefined, forServing: providerSigner !== undefined };
}
