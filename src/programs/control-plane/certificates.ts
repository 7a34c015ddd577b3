/** The CA's material (kept in a Secret) and istiod's own serving certificate. */
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import { createLogger } from '../../base/log.ts';
import { CertificateAuthority, createSelfSignedCa, type CaMaterial } from '../../identity/ca.ts';
import { parseCertificate } from '../../identity/certificate.ts';
import { formatSpiffeId } from '../../identity/spiffe.ts';
import { ApiError, type KubeClient } from '../../kube/client/client.ts';
import { createInformer } from '../../kube/client/informer.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { SECRET } from '../../objects/resource-types.ts';
import type { ServerIdentity } from '../../xds/server/grpc-server.ts';

const log = createLogger('ca');

/** Made by us when nobody plugs in a CA. */
const SELF_SIGNED_SECRET = 'istio-ca-secret';
/** Plugged in by the user; wins. @see https://istio.io/latest/docs/tasks/security/cert-management/plugin-ca-cert/ */
const PLUGGED_SECRET = 'cacerts';

const DAY_MS = 24 * 3_600_000;
const SERVING_TTL_MS = 365 * DAY_MS;

interface SecretObject extends KubeObject {
  readonly type?: string;
  readonly data?: Readonly<Record<string, string>>;
}

export interface CertificatesOptions {
  /** Undefined without an API server: the CA lives in memory. */
  readonly client: KubeClient | undefined;
  readonly systemNamespace: string;
  readonly revision: string;
  readonly trustDomain: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export interface Certificates {
  readonly authority: CertificateAuthority;
  /** Key and chain of istiod's own servers. */
  readonly serving: ServerIdentity;
  /** Calls back when authority or serving certificate were replaced. */
  onRotate(listener: () => void): void;
}

/** Loads the CA, or makes one and keeps it. Rejects when the API server refuses both. */
export async function loadCertificates(options: CertificatesOptions): Promise<Certificates> {
  const listeners: (() => void)[] = [];
  let authority = new CertificateAuthority(await loadMaterial(options), options.clock.now());
  let serving = servingIdentity(authority, options);
  const use = (next: CertificateAuthority) => {
    authority = next;
    serving = servingIdentity(next, options);
    for (const listener of listeners) listener();
  };
  // A timer holds at most 24 days, so the age is looked at once a day.
  const lookAgain = () =>
    options.clock.after(DAY_MS, () => {
      if (parseCertificate(serving.certificateChainPem).notAfterMs - options.clock.now() < SERVING_TTL_MS / 2) use(authority);
      if (!options.signal.aborted) lookAgain();
    });
  lookAgain();
  if (options.client) watchPlugged(options.client, options, () => authority.material, use);
  return {
    get authority() {
      return authority;
    },
    get serving() {
      return serving;
    },
    onRotate: (listener) => void listeners.push(listener),
  };
}

async function loadMaterial(options: CertificatesOptions): Promise<CaMaterial> {
  const { client, systemNamespace, trustDomain, clock } = options;
  const fresh = () => createSelfSignedCa({ organization: trustDomain, nowMs: clock.now() });
  if (!client) return fresh();
  for (const name of [PLUGGED_SECRET, SELF_SIGNED_SECRET]) {
    const material = materialOf(await client.get<SecretObject>(SECRET, name, systemNamespace));
    if (!material) continue;
    log.info('using the CA in a secret', { secret: name });
    return material;
  }
  const made = fresh();
  try {
    await client.create<SecretObject>(SECRET, secretOf(made, systemNamespace));
    log.info('made a self-signed CA', { secret: SELF_SIGNED_SECRET });
    return made;
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== 409) throw error;
    // Another replica was faster: its CA is the mesh's.
    return materialOf(await client.get<SecretObject>(SECRET, SELF_SIGNED_SECRET, systemNamespace)) ?? made;
  }
}

function secretOf(material: CaMaterial, namespace: string): SecretObject {
  const encode = (text: string) => Buffer.from(text).toString('base64');
  return {
    apiVersion: 'v1', kind: 'Secret', type: 'istio.io/ca-root', metadata: { name: SELF_SIGNED_SECRET, namespace },
    data: { 'ca-cert.pem': encode(material.caCertPem), 'ca-key.pem': encode(material.caKeyPem), 'root-cert.pem': encode(material.rootCertPem), 'cert-chain.pem': encode(material.certChainPem), 'key.pem': '' },
  };
}

function materialOf(secret: SecretObject | undefined): CaMaterial | undefined {
  const decode = (key: string) => Buffer.from(secret?.data?.[key] ?? '', 'base64').toString('utf8');
  const caCertPem = decode('ca-cert.pem');
  const caKeyPem = decode('ca-key.pem');
  if (!caCertPem || !caKeyPem) return undefined;
  return { caCertPem, caKeyPem, rootCertPem: decode('root-cert.pem') || caCertPem, certChainPem: decode('cert-chain.pem') };
}

/** Takes over a plugged-in CA when its secret appears or changes. One that is broken is refused by name and the present one goes on. */
function watchPlugged(client: KubeClient, options: CertificatesOptions, current: () => CaMaterial, use: (authority: CertificateAuthority) => void): void {
  const informer = createInformer<SecretObject>(client, SECRET, { namespace: options.systemNamespace, fieldSelector: `metadata.name=${PLUGGED_SECRET}`, signal: options.signal });
  informer.onEvent((event) => {
    const material = event.type === 'deleted' ? undefined : materialOf(event.object);
    if (!material || material.caCertPem === current().caCertPem) return;
    try {
      use(new CertificateAuthority(material, options.clock.now()));
      log.info('the CA was replaced', { secret: PLUGGED_SECRET });
    } catch (error) {
      log.error('the CA in a secret is not usable; the present one stays', { secret: PLUGGED_SECRET, error: messageOf(error) });
    }
  });
}

function servingIdentity(authority: CertificateAuthority, { systemNamespace, revision, trustDomain, clock }: CertificatesOptions): ServerIdentity {
  const service = revision === '' ? 'istiod' : `istiod-${revision}`;
  const names = [...new Set([service, 'istiod', 'istio-pilot', 'istiod-remote'])];
  const dnsNames = names.flatMap((name) => [`${name}.${systemNamespace}.svc`, `${name}.${systemNamespace}.svc.cluster.local`]);
  const spiffeId = formatSpiffeId({ trustDomain, namespace: systemNamespace, serviceAccount: 'istiod' });
  const issued = authority.issueServerCertificate({ dnsNames: [...dnsNames, 'localhost'], spiffeId, ttlMs: SERVING_TTL_MS, nowMs: clock.now() });
  return { ...issued, rootsPem: authority.rootCertPem };
}
