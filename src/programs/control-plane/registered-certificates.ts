/** Certificates of a control plane that does not sign itself: a signer of Kubernetes does. */
import { Backoff } from '../../base/backoff.ts';
import { messageOf } from '../../base/errors.ts';
import { createLogger } from '../../base/log.ts';
import { parseCertificate, splitCertificates } from '../../identity/certificate.ts';
import { generateKeyAndCsr } from '../../identity/csr.ts';
import { formatSpiffeId } from '../../identity/spiffe.ts';
import { mergeBundles } from '../../identity/trust-bundle.ts';
import type { WorkloadSigner } from '../../xds/server/certificate-service.ts';
import type { ServerIdentity } from '../../xds/server/grpc-server.ts';
import { servingNames, type Certificates, type CertificatesOptions } from './certificates.ts';
import type { RegistrationAuthority } from './registration-authority.ts';

const log = createLogger('ca');

/** What istiod asks for itself: a day, renewed at half of it. */
const OWN_TTL_MS = 24 * 3_600_000;

/** Our own certificate as the signer issued it. */
interface Issued {
  readonly serving: ServerIdentity;
  /** What stands between a leaf and the roots, PEM. */
  readonly between: string;
  readonly roots: string;
  readonly notAfterMs: number;
}

/**
 * Asks the signer for a certificate of istiod's own, which also tells the roots, until it answers. `own`: signs istiod's serving certificate instead
 * (PILOT_CERT_PROVIDER=istiod), and its root is trusted too.
 */
export async function loadRegisteredCertificates(options: CertificatesOptions, registration: RegistrationAuthority, own: Certificates | undefined): Promise<Certificates> {
  const { clock, signal } = options;
  const backoff = new Backoff({ baseMs: 500, maxMs: 30_000 });
  const listeners: (() => void)[] = [];
  const issue = async (): Promise<Issued> => {
    for (;;) {
      try {
        return await askForOwn(options, registration, own === undefined);
      } catch (error) {
        if (signal.aborted) throw error;
        const retryMs = backoff.next();
        log.warn('the signer does not sign for the control plane', { error: messageOf(error), retryIn: `${Math.round(retryMs)}ms` });
        await new Promise<void>((resolve) => void setTimeout(resolve, retryMs));
      }
    }
  };
  let current = await issue();
  const renew = (): void =>
    void clock.after(Math.max(1000, (current.notAfterMs - clock.now()) / 2), () => {
      if (signal.aborted) return;
      void issue().then((issued) => {
        backoff.reset();
        current = issued;
        for (const listener of listeners) listener();
        renew();
      }, () => {});
    });
  renew();
  own?.onRotate(() => listeners.forEach((listener) => listener()));
  const rootCertPem = () => mergeBundles(current.roots, own?.rootCertPem ?? '');
  return {
    authority: registration satisfies WorkloadSigner,
    get rootCertPem() {
      return rootCertPem();
    },
    get trustedPem() {
      return current.between + rootCertPem();
    },
    get chainExpiresAtMs() {
      return parseCertificate(current.between || current.roots).notAfterMs;
    },
    get serving() {
      return { ...(own?.serving ?? current.serving), rootsPem: rootCertPem() };
    },
    onRotate: (listener) => void listeners.push(listener),
  };
}

async function askForOwn(options: CertificatesOptions, registration: RegistrationAuthority, forServing: boolean): Promise<Issued> {
  const spiffeId = formatSpiffeId({ trustDomain: options.trustDomain, namespace: options.systemNamespace, serviceAccount: 'istiod' });
  const names = { uris: [spiffeId], dnsNames: forServing ? servingNames(options) : [] };
  const { privateKeyPem, csrPem } = await generateKeyAndCsr({ uri: spiffeId, dnsNames: names.dnsNames });
  const chain = await registration.signNames(csrPem, names, OWN_TTL_MS);
  const roots = splitCertificates(chain.at(-1)!).join('');
  const own = chain.slice(0, -1);
  return { serving: { privateKeyPem, certificateChainPem: own.join(''), rootsPem: roots }, between: own.slice(1).join(''), roots, notAfterMs: parseCertificate(chain[0]!).notAfterMs };
}
