/** Chooses who signs: our own CA, or a signer of Kubernetes that we register workloads with. */
import { readFileSync } from 'node:fs';
import { createLogger } from '../../base/log.ts';
import { loadCertificates, type Certificates, type CertificatesOptions } from './certificates.ts';
import { meshRoots } from './mesh-roots.ts';
import { RegistrationAuthority } from './registration-authority.ts';
import { loadRegisteredCertificates } from './registered-certificates.ts';

const log = createLogger('ca');

/** The cluster's own root, in every pod. */
const CLUSTER_ROOT = '/var/run/secrets/kubernetes.io/serviceaccount/ca.crt';

/** Rejects when there is no API server to ask or to keep the CA in. Waits for a signer that does not answer. */
export async function openCertificates(options: CertificatesOptions, meshConfigText: () => string | undefined): Promise<Certificates> {
  const { client, settings, clock } = options;
  const { registration } = settings;
  if (!registration || !client) return loadCertificates(options);
  log.info('certificates are signed by Kubernetes', { signer: registration.signerName });
  const authority = new RegistrationAuthority({
    client, settings: registration, clock, defaultTtlMs: settings.defaultTtlMs, maxTtlMs: settings.maxTtlMs,
    rootsOf: (signerName) => meshRoots(meshConfigText()).ofSigner(signerName),
    clusterRoots,
  });
  return loadRegisteredCertificates(options, authority, registration.forServing ? undefined : await loadCertificates(options));
}

function clusterRoots(): string {
  try {
    return readFileSync(CLUSTER_ROOT, 'utf8');
  } catch {
    return '';
  }
}
