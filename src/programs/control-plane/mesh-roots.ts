/** Roots that the mesh config names, straight from its text: needed before the first snapshot. @see istio.mesh.v1alpha1.MeshConfig.caCertificates */
import { X509Certificate } from 'node:crypto';
import { parse } from 'yaml';
import { createLogger } from '../../base/log.ts';
import { messageOf } from '../../base/errors.ts';
import { splitCertificates } from '../../identity/certificate.ts';
import { DEFAULT_TRUST_DOMAIN } from '../../identity/spiffe.ts';

const log = createLogger('ca');

/** One entry of `caCertificates` with readable certificates. */
interface NamedRoots {
  readonly pem: string;
  readonly certSigners: readonly string[];
  readonly trustDomains: readonly string[];
}

/** The trust settings of a mesh config text. */
export interface MeshRoots {
  /** Workloads trust these as well as the CA's own; '' when there are none. Those of certain signers are not among them. */
  readonly additional: string;
  /** Callers of the control plane may chain to these: additional roots that are not those of other trust domains. */
  readonly ofCallers: string;
  readonly trustDomainAliases: readonly string[];
  /** Roots of a signer, or ''. */
  ofSigner(signerName: string): string;
}

let seen: string | undefined;
let known: MeshRoots | undefined;

/** Reads the text; what cannot be read is left out and logged once. */
export function meshRoots(text: string | undefined): MeshRoots {
  if (known && text === seen) return known;
  seen = text;
  return (known = read(text));
}

function read(text: string | undefined): MeshRoots {
  const config = objectOf(text);
  const entries = (Array.isArray(config['caCertificates']) ? config['caCertificates'] : []).flatMap((entry: unknown, index) => namedRoots(entry, index) ?? []);
  const trustDomain = typeof config['trustDomain'] === 'string' && config['trustDomain'] !== '' ? config['trustDomain'] : DEFAULT_TRUST_DOMAIN;
  const trustDomainAliases = texts(config['trustDomainAliases']);
  const join = (chosen: readonly NamedRoots[]) => chosen.map(({ pem }) => pem).join('');
  const general = entries.filter(({ certSigners }) => certSigners.length === 0);
  return {
    additional: join(general),
    ofCallers: join(general.filter(({ trustDomains }) => trustDomains.length === 0 || trustDomains.some((domain) => domain === trustDomain || trustDomainAliases.includes(domain)))),
    trustDomainAliases,
    ofSigner: (signerName) => join(entries.filter(({ certSigners }) => certSigners.includes(signerName))),
  };
}

function namedRoots(entry: unknown, index: number): NamedRoots | undefined {
  const { pem, spiffeBundleUrl, certSigners, trustDomains } = (typeof entry === 'object' && entry !== null ? entry : {}) as Record<string, unknown>;
  try {
    if (spiffeBundleUrl !== undefined) throw new Error('spiffeBundleUrl is not supported: give the roots as pem');
    const certificates = splitCertificates(typeof pem === 'string' ? pem : '');
    if (certificates.length === 0) throw new Error('pem holds no certificate');
    for (const certificate of certificates) if (!new X509Certificate(certificate).ca) throw new Error('pem holds a certificate that is no CA');
    return { pem: certificates.join(''), certSigners: texts(certSigners), trustDomains: texts(trustDomains) };
  } catch (error) {
    log.warn('roots of the mesh config are left out', { field: `caCertificates[${index}]`, error: messageOf(error) });
    return undefined;
  }
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string') : [];
}

function objectOf(text: string | undefined): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = text === undefined ? undefined : parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
