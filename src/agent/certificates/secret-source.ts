// All secrets a proxy asks for by name, wherever they come from.
import type { Unsubscribe } from '../../base/watchable.ts';
import { createLogger } from '../../base/log.ts';
import { mergeBundles } from '../../identity/trust-bundle.ts';
import { TYPE_URL, type AdsClient } from '../../xds/ads.ts';
import { decodeResource } from '../../xds/codec.ts';
import type { Secret } from '../../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts';
import type { SecretSource, TlsSecret } from '../../xds/secret-source.ts';
import { systemRoots } from './system-roots.ts';
import { watchFiles } from './watched-file.ts';
import type { WorkloadCertificates } from './workload-certificate.ts';

const log = createLogger('sds');

/** Name of the workload's certificate and of the mesh roots in SDS. */
export const WORKLOAD_SECRET = 'default';
export const ROOT_SECRET = 'ROOTCA';

/** TLS to servers outside the mesh without a CA of its own: what the machine trusts. */
const SYSTEM_ROOTS = 'file-root:system';

type Watcher = (secret: TlsSecret) => void;

/** `default`, `ROOTCA`, `file-cert:<crt>~<key>`, `file-root:<ca>`, `file-crl:<lists>`; every other name (`kubernetes://…`) is asked of the control plane. */
export class AgentSecretSource implements SecretSource {
  private readonly remoteWatchers = new Map<string, Set<Watcher>>();
  private readonly remoteSecrets = new Map<string, TlsSecret>();
  private subscription: { setNames(names: ReadonlySet<string>): void } | undefined;

  /** `rootPath`: the mesh roots as the control plane distributes them (ConfigMap istio-ca-root-cert). */
  constructor(private readonly workload: WorkloadCertificates, private readonly rootPath: string) {}

  /** Names the control plane knows are asked through this client from now on. */
  useControlPlane(ads: AdsClient): void {
    this.subscription = ads.subscribe(TYPE_URL.secret, ({ updated }) => {
      for (const resource of updated) {
        const secret = toTlsSecret(decodeResource(resource) as Secret);
        if (secret === undefined) return `secret ${resource.name} is neither a certificate nor roots`;
        this.remoteSecrets.set(resource.name, secret);
        for (const watcher of this.remoteWatchers.get(resource.name) ?? []) watcher(secret);
      }
      return undefined;
    });
    this.subscribeRemote();
  }

  watch(name: string, onSecret: Watcher): Unsubscribe {
    if (name === WORKLOAD_SECRET) return this.watchWorkload(onSecret);
    if (name === ROOT_SECRET) return this.watchRoots(onSecret);
    if (name.startsWith('file-cert:')) {
      const [chain = '', key = ''] = name.slice('file-cert:'.length).split('~');
      return watchFiles([chain, key], ([certificateChainPem = '', privateKeyPem = '']) => onSecret({ name, kind: 'certificate', certificateChainPem, privateKeyPem }));
    }
    if (name === SYSTEM_ROOTS) return onSecret({ name, kind: 'validation', trustedCaPem: systemRoots() }), () => {};
    if (name.startsWith('file-root:')) return watchFiles([name.slice('file-root:'.length)], ([trustedCaPem = '']) => onSecret({ name, kind: 'validation', trustedCaPem }));
    if (name.startsWith('file-crl:')) return watchFiles([name.slice('file-crl:'.length)], ([crlPem = '']) => onSecret({ name, kind: 'validation', trustedCaPem: '', crlPem }));
    return this.watchRemote(name, onSecret);
  }

  private watchWorkload(onSecret: Watcher): Unsubscribe {
    return this.workload.certificate.watch((certificate) => {
      if (certificate) onSecret({ name: WORKLOAD_SECRET, kind: 'certificate', certificateChainPem: certificate.chainPem, privateKeyPem: certificate.privateKeyPem });
    });
  }

  /** Roots are those of the file and that of the CA that signed us: during a change of roots either may be ahead. */
  private watchRoots(onSecret: Watcher): Unsubscribe {
    let file = '';
    let signer = '';
    let last = '';
    const tell = (): void => {
      const trustedCaPem = mergeBundles(file, signer);
      if (trustedCaPem === '' || trustedCaPem === last) return;
      last = trustedCaPem;
      onSecret({ name: ROOT_SECRET, kind: 'validation', trustedCaPem });
    };
    const stopFile = watchFiles([this.rootPath], ([pem = '']) => ((file = pem), tell()));
    // A certificate that expired took nobody's trust with it.
    const stopSigner = this.workload.certificate.watch((certificate) => ((signer = certificate?.rootPem ?? signer), tell()));
    return () => (stopFile(), stopSigner());
  }

  private watchRemote(name: string, onSecret: Watcher): Unsubscribe {
    const watchers = this.remoteWatchers.get(name) ?? new Set();
    this.remoteWatchers.set(name, watchers.add(onSecret));
    const known = this.remoteSecrets.get(name);
    if (known) onSecret(known);
    if (watchers.size === 1) this.subscribeRemote();
    return () => {
      watchers.delete(onSecret);
      if (watchers.size > 0 || !this.remoteWatchers.delete(name)) return;
      this.remoteSecrets.delete(name);
      this.subscribeRemote();
    };
  }

  private subscribeRemote(): void {
    if (!this.subscription) return;
    const names = new Set(this.remoteWatchers.keys());
    log.debug('secrets of the control plane', { names: [...names] });
    this.subscription.setNames(names);
  }
}

/** A Secret message as PEM; undefined when it is of a kind TLS has no use for here. */
export function toTlsSecret(secret: Secret): TlsSecret | undefined {
  const text = (source: { specifier: { case?: string | undefined; value?: unknown } } | undefined): string => {
    const { case: which, value } = source?.specifier ?? {};
    return which === 'inlineBytes' ? Buffer.from(value as Uint8Array).toString() : which === 'inlineString' ? (value as string) : '';
  };
  if (secret.type.case === 'tlsCertificate') {
    const { certificateChain, privateKey } = secret.type.value;
    return { name: secret.name, kind: 'certificate', certificateChainPem: text(certificateChain), privateKeyPem: text(privateKey) };
  }
  if (secret.type.case === 'validationContext') {
    const crlPem = text(secret.type.value.crl);
    return { name: secret.name, kind: 'validation', trustedCaPem: text(secret.type.value.trustedCa), ...(crlPem !== '' && { crlPem }) };
  }
  return undefined;
}
