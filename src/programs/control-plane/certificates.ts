/** The CA (its material is kept in a Secret) and istiod's own serving certificate. */
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import { createLogger } from '../../base/log.ts';
import { CertificateAuthority, createSelfSignedCa, type CaMaterial } from '../../identity/ca.ts';
import { parseCertificate } from '../../identity/certificate.ts';
import { advanceRotation, type RotationPolicy, type SelfSignedState } from '../../identity/root-rotation.ts';
import { formatSpiffeId } from '../../identity/spiffe.ts';
import { ApiError, type KubeClient } from '../../kube/client/client.ts';
import { createInformer } from '../../kube/client/informer.ts';
import { SECRET } from '../../objects/resource-types.ts';
import type { WorkloadSigner } from '../../xds/server/certificate-service.ts';
import type { ServerIdentity } from '../../xds/server/grpc-server.ts';
import { materialIn, materialOf, PLUGGED_SECRET, sameMaterial, SELF_SIGNED_SECRET, secretOf, selfSignedStateOf, type SecretObject } from './ca-material.ts';
import type { CaSettings } from './ca-settings.ts';

const log = createLogger('ca');

const DAY_MS = 24 * 3_600_000;
const SERVING_TTL_MS = 365 * DAY_MS;
/** How often mounted files are looked at. */
const FILES_MS = 10_000;

export interface CertificatesOptions {
  /** Undefined without an API server: the CA lives in memory. */
  readonly client: KubeClient | undefined;
  readonly systemNamespace: string;
  readonly revision: string;
  readonly trustDomain: string;
  readonly settings: CaSettings;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Default `Math.random`. */
  readonly random?: () => number;
}

/** Who signs for workloads, what they trust, and what istiod shows. All of it is replaced while running. */
export interface Certificates {
  readonly authority: WorkloadSigner;
  /** What workloads trust, PEM; the root that signs first. */
  readonly rootCertPem: string;
  /** What client certificates of workloads may chain to: the roots and what signs, PEM. */
  readonly trustedPem: string;
  /** When the certificate that signs ends. */
  readonly chainExpiresAtMs: number;
  /** Key and chain of istiod's own servers. */
  readonly serving: ServerIdentity;
  /** Calls back when any of these were replaced. */
  onRotate(listener: () => void): void;
}

/** Loads the CA, or makes one and keeps it. Rejects when the API server refuses both. */
export async function loadCertificates(options: CertificatesOptions): Promise<Certificates> {
  const own = new OwnCertificates(options, await loadMaterial(options));
  own.start();
  return own;
}

/** What was found, and where. `state`: the CA is ours to change. */
interface Loaded {
  readonly material: CaMaterial;
  readonly state?: SelfSignedState;
}

class OwnCertificates implements Certificates {
  authority: CertificateAuthority;
  serving: ServerIdentity;
  private state: SelfSignedState | undefined;
  private readonly listeners: (() => void)[] = [];

  constructor(private readonly options: CertificatesOptions, loaded: Loaded) {
    this.state = loaded.state;
    this.authority = this.authorityOf(loaded.material);
    this.serving = this.issueServing();
  }

  get rootCertPem(): string {
    return this.authority.rootCertPem;
  }

  get trustedPem(): string {
    return this.authority.material.caCertPem + this.authority.rootCertPem;
  }

  get chainExpiresAtMs(): number {
    return parseCertificate(this.authority.material.caCertPem).notAfterMs;
  }

  onRotate(listener: () => void): void {
    this.listeners.push(listener);
  }

  start(): void {
    const { client, settings, clock, signal, random = Math.random } = this.options;
    this.renewServing();
    if (client) this.watchSecrets(client);
    else if (materialIn(settings.rootCaDir)) this.watchFiles();
    if (settings.rootCheckMs === 0) return;
    const check = (): void => {
      if (signal.aborted) return;
      void this.checkRoot().finally(() => clock.after(settings.rootCheckMs, check));
    };
    clock.after(settings.rootCheckMs * (settings.rootJitter ? random() : 1), check);
  }

  private authorityOf(material: CaMaterial): CertificateAuthority {
    const { settings, clock } = this.options;
    return new CertificateAuthority(material, clock.now(), { defaultTtlMs: settings.defaultTtlMs, maxTtlMs: settings.maxTtlMs });
  }

  /** Takes over other material; throws when it is not usable and leaves the present one. */
  private use({ material, state }: Loaded): void {
    this.authority = this.authorityOf(material);
    this.state = state;
    this.serving = this.issueServing();
    for (const listener of this.listeners) listener();
  }

  /** A timer holds at most 24 days, so the age is looked at once a day; a short-lived root leaves less time. */
  private renewServing(): void {
    const { clock, signal } = this.options;
    const left = (): number => parseCertificate(this.serving.certificateChainPem).notAfterMs - clock.now();
    const look = (lifeMs: number): void =>
      void clock.after(Math.min(DAY_MS, Math.max(1000, lifeMs / 4)), () => {
        if (signal.aborted) return;
        if (left() < lifeMs / 2) {
          this.serving = this.issueServing();
          for (const listener of this.listeners) listener();
          log.info('renewed the serving certificate', { until: new Date(clock.now() + left()).toISOString() });
          look(left());
        } else look(Math.min(lifeMs, left() * 2));
      });
    look(left());
  }

  private issueServing(): ServerIdentity {
    const { systemNamespace, trustDomain, clock } = this.options;
    const spiffeId = formatSpiffeId({ trustDomain, namespace: systemNamespace, serviceAccount: 'istiod' });
    const issued = this.authority.issueServerCertificate({ dnsNames: servingNames(this.options), spiffeId, ttlMs: SERVING_TTL_MS, nowMs: clock.now() });
    return { ...issued, rootsPem: this.authority.rootCertPem };
  }

  /** Follows the plugged-in CA, and our own as other replicas change it. One that is broken is refused by name and the present one goes on. */
  private watchSecrets(client: KubeClient): void {
    const { systemNamespace: namespace, signal } = this.options;
    const ours = selfSignedName(this.options);
    for (const name of new Set([PLUGGED_SECRET, ours])) {
      createInformer<SecretObject>(client, SECRET, { namespace, fieldSelector: `metadata.name=${name}`, signal }).onEvent((event) => {
        const material = event.type === 'deleted' ? undefined : materialOf(event.object);
        const state = event.type === 'deleted' || name !== ours ? undefined : selfSignedStateOf(event.object);
        // Our own secret says nothing while somebody's CA is plugged in.
        if (!material || (name !== PLUGGED_SECRET && !this.state)) return;
        this.replace({ material, ...(state && { state }) }, name);
      });
    }
  }

  private watchFiles(): void {
    const { settings, clock, signal } = this.options;
    clock.after(FILES_MS, () => {
      if (signal.aborted) return;
      const material = materialIn(settings.rootCaDir);
      if (material) this.replace({ material }, settings.rootCaDir);
      this.watchFiles();
    });
  }

  private replace(loaded: Loaded, source: string): void {
    if (sameMaterial(loaded.material, this.authority.material)) return void (this.state = loaded.state);
    try {
      this.use(loaded);
      log.info('the CA was replaced', { source, subject: parseCertificate(loaded.material.caCertPem).subject });
    } catch (error) {
      log.error('the CA that was plugged in is not usable; the present one stays', { source, error: messageOf(error) });
    }
  }

  /** Never rejects. */
  private async checkRoot(): Promise<void> {
    if (!this.state) return this.warnOfExpiry();
    try {
      const { client, clock } = this.options;
      const policy = rotationPolicy(this.options);
      const advanced = client ? await advanceSecret(client, this.options, policy) : advanceRotation(this.state, policy, clock.now());
      if (!advanced) return;
      this.use({ material: advanced.state.material, state: advanced.state });
      log.info(`self-signed root ${advanced.step}`, { until: new Date(this.chainExpiresAtMs).toISOString() });
    } catch (error) {
      log.error('the self-signed root could not be changed; it is tried again', { error: messageOf(error) });
    }
  }

  /** A CA that somebody plugged in is theirs to replace. */
  private warnOfExpiry(): void {
    const { notBeforeMs, notAfterMs } = parseCertificate(this.authority.material.caCertPem);
    const leftMs = notAfterMs - this.options.clock.now();
    if (leftMs < (notAfterMs - notBeforeMs) * this.options.settings.rootGraceFraction) log.warn('the plugged-in CA expires soon: replace ca-cert.pem and ca-key.pem', { days: Math.floor(leftMs / DAY_MS), until: new Date(notAfterMs).toISOString() });
  }
}

function rotationPolicy({ settings, trustDomain }: CertificatesOptions): RotationPolicy {
  // Nothing that the old root signed lives longer than it may be asked for, nor than the old root itself.
  const retireAfterMs = Math.min(settings.maxTtlMs, settings.rootTtlMs * settings.rootGraceFraction);
  return { root: { organization: trustDomain, ttlMs: settings.rootTtlMs, keyType: settings.rootKeyType }, graceFraction: settings.rootGraceFraction, retireAfterMs };
}

/** One step on the stored CA. A replica that was faster wins: its step comes by the watch. */
async function advanceSecret(client: KubeClient, options: CertificatesOptions, policy: RotationPolicy): Promise<ReturnType<typeof advanceRotation>> {
  const where = { name: selfSignedName(options), namespace: options.systemNamespace };
  const live = await client.get<SecretObject>(SECRET, where.name, where.namespace);
  const state = selfSignedStateOf(live);
  const advanced = state && advanceRotation(state, policy, options.clock.now());
  if (!advanced) return undefined;
  try {
    await client.update<SecretObject>(SECRET, secretOf(advanced.state, where, live));
    return advanced;
  } catch (error) {
    if (error instanceof ApiError && error.code === 409) return undefined;
    throw error;
  }
}

function selfSignedName({ settings }: CertificatesOptions): string {
  return settings.useCacerts ? PLUGGED_SECRET : SELF_SIGNED_SECRET;
}

async function loadMaterial(options: CertificatesOptions): Promise<Loaded> {
  const { client, systemNamespace, trustDomain, clock, settings } = options;
  const fresh = (): Loaded => {
    const material = createSelfSignedCa({ organization: trustDomain, nowMs: clock.now(), ttlMs: settings.rootTtlMs, keyType: settings.rootKeyType });
    return { material, state: { material } };
  };
  const mounted = materialIn(settings.rootCaDir);
  if (!client) return mounted ? { material: mounted } : fresh();
  for (const name of [PLUGGED_SECRET, SELF_SIGNED_SECRET]) {
    const secret = await client.get<SecretObject>(SECRET, name, systemNamespace);
    const material = materialOf(secret);
    if (!material) continue;
    log.info('using the CA in a secret', { secret: name });
    const state = name === selfSignedName(options) ? selfSignedStateOf(secret) : undefined;
    return state ? await usable(client, state, options) : { material };
  }
  const made = fresh();
  const where = { name: selfSignedName(options), namespace: systemNamespace };
  try {
    await client.create<SecretObject>(SECRET, secretOf(made.state!, where));
    log.info('made a self-signed CA', { secret: where.name });
    return made;
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== 409) throw error;
    // Another replica was faster: its CA is the mesh's.
    const state = selfSignedStateOf(await client.get<SecretObject>(SECRET, where.name, systemNamespace));
    return state ? { material: state.material, state } : made;
  }
}

/** A self-signed CA that expired while nobody was there is changed before anything is signed. */
async function usable(client: KubeClient, state: SelfSignedState, options: CertificatesOptions): Promise<Loaded> {
  let current = state;
  for (let step = 0; step < 2 && parseCertificate(current.material.caCertPem).notAfterMs <= options.clock.now(); step++) {
    const advanced = await advanceSecret(client, options, rotationPolicy(options));
    if (advanced) current = advanced.state;
  }
  return { material: current.material, state: current };
}

/** DNS names under which istiod is called. */
export function servingNames({ revision, systemNamespace }: Pick<CertificatesOptions, 'revision' | 'systemNamespace'>): string[] {
  const service = revision === '' ? 'istiod' : `istiod-${revision}`;
  const names = [...new Set([service, 'istiod', 'istio-pilot', 'istiod-remote'])];
  return [...names.flatMap((name) => [`${name}.${systemNamespace}.svc`, `${name}.${systemNamespace}.svc.cluster.local`]), 'localhost'];
}
