/** The API server's own certificate authority and what it signs. Its keys stay in one directory that only its owner can read. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { buildCertificate, publicKeyDerOf, subjectOf } from '../../../identity/build-certificate.ts';
import { fromPem } from '../../../identity/der.ts';

const DAY_MS = 24 * 3_600_000;
const CA_DAYS = 3650;
const LEAF_DAYS = 365;
/** Leaves with less left are signed anew when the server starts. */
const RENEW_BELOW_DAYS = 90;

/** A certificate and its private key, PEM. */
export interface KeyPair {
  readonly certPem: string;
  readonly keyPem: string;
}

/** Everything the server proves itself and others with. */
export interface Pki {
  readonly ca: KeyPair;
  /** What the server shows. */
  readonly serving: KeyPair;
  /** A client of group `system:masters`, for the kubeconfig. */
  readonly admin: KeyPair;
  /** Signs for workloads whose control plane asks Kubernetes for certificates; the server does not believe it. */
  readonly workloadSigner: KeyPair;
  /** Signs service account tokens (EC P-256), PEM. */
  readonly serviceAccountKeyPem: string;
}

export interface PkiOptions {
  /** DNS names and IP addresses of the server, in any order. */
  readonly names: readonly string[];
  readonly nowMs: number;
}

/** Where an {@link openPki} keeps its parts. */
type Files = Map<string, string>;

/** Loads a PKI from a directory and makes what is missing, about to expire, or has other names than asked. Files have mode 0600. */
export function openPki(directory: string, options: PkiOptions): Pki {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const files: Files = new Map();
  for (const name of ['ca.crt', 'ca.key', 'apiserver.crt', 'apiserver.key', 'admin.crt', 'admin.key', 'workload-signer.crt', 'workload-signer.key', 'sa.key']) {
    const path = join(directory, name);
    if (existsSync(path)) files.set(name, readFileSync(path, 'utf8'));
  }
  return build(files, options, (name, content) => {
    const path = join(directory, name);
    writeFileSync(`${path}.new`, content, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  });
}

/** A PKI that lives in memory only. */
export function createPki(options: PkiOptions): Pki {
  return build(new Map(), options, () => {});
}

function build(files: Files, options: PkiOptions, save: (name: string, content: string) => void): Pki {
  const pair = (name: string, usable: (certificate: X509Certificate) => boolean, make: () => KeyPair): KeyPair => {
    const certPem = files.get(`${name}.crt`);
    const keyPem = files.get(`${name}.key`);
    if (certPem && keyPem && belongTogether(certPem, keyPem) && usable(new X509Certificate(certPem))) return { certPem, keyPem };
    const made = make();
    save(`${name}.key`, made.keyPem);
    save(`${name}.crt`, made.certPem);
    return made;
  };
  const fresh = (certificate: X509Certificate): boolean => Date.parse(certificate.validTo) - options.nowMs > RENEW_BELOW_DAYS * DAY_MS;
  const ca = pair('ca', fresh, () => sign({ commonName: 'kubernetes', days: CA_DAYS, nowMs: options.nowMs }));
  const caKey = new X509Certificate(ca.certPem).publicKey;
  const ours = (certificate: X509Certificate): boolean => fresh(certificate) && certificate.verify(caKey);
  const serving = pair('apiserver', (certificate) => ours(certificate) && options.names.every((name) => covers(certificate, name)), () =>
    sign({ commonName: 'kube-apiserver', names: options.names, days: LEAF_DAYS, nowMs: options.nowMs, ca }));
  const admin = pair('admin', ours, () => sign({ commonName: 'kubernetes-admin', organization: 'system:masters', days: LEAF_DAYS, nowMs: options.nowMs, ca }));
  const workloadSigner = pair('workload-signer', fresh, () => sign({ commonName: 'meltemi-workload-signer', days: CA_DAYS, nowMs: options.nowMs }));
  let serviceAccountKeyPem = files.get('sa.key');
  if (!serviceAccountKeyPem) {
    serviceAccountKeyPem = newKey().export({ type: 'pkcs8', format: 'pem' }) as string;
    save('sa.key', serviceAccountKeyPem);
  }
  return { ca, serving, admin, workloadSigner, serviceAccountKeyPem };
}

function newKey() {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

function belongTogether(certPem: string, keyPem: string): boolean {
  try {
    return new X509Certificate(certPem).checkPrivateKey(createPrivateKey(keyPem));
  } catch {
    return false;
  }
}

function covers(certificate: X509Certificate, name: string): boolean {
  return (isIP(name) ? certificate.checkIP(name) : certificate.checkHost(name)) !== undefined;
}

interface SignRequest {
  readonly commonName: string;
  readonly organization?: string;
  readonly names?: readonly string[];
  readonly days: number;
  readonly nowMs: number;
  /** Absent: self-signed authority. */
  readonly ca?: KeyPair;
}

function sign(request: SignRequest): KeyPair {
  const key = newKey();
  const publicKeyDer = publicKeyDerOf(key);
  const names = request.names ?? [];
  const content = {
    publicKeyDer,
    subject: { ...(request.organization ? { organization: request.organization } : {}), commonName: request.commonName },
    notBeforeMs: request.nowMs - 5 * 60_000,
    notAfterMs: request.nowMs + request.days * DAY_MS,
    isCa: request.ca === undefined,
    dnsNames: names.filter((name) => !isIP(name)),
    addresses: names.filter((name) => isIP(name) !== 0).map(addressBytes),
  };
  const { ca } = request;
  const issuer = ca
    ? { key: createPrivateKey(ca.keyPem), nameDer: subjectOf(fromPem('CERTIFICATE', ca.certPem)[0]!), publicKeyDer: publicKeyDerOf(createPublicKey(ca.keyPem)) }
    : { key, publicKeyDer };
  return { certPem: buildCertificate(content, issuer), keyPem: key.export({ type: 'pkcs8', format: 'pem' }) as string };
}

function addressBytes(address: string): Uint8Array {
  if (isIP(address) === 4) return Uint8Array.from(address.split('.').map(Number));
  const [head = '', tail] = address.split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const all = [...left, ...Array.from({ length: 8 - left.length - right.length }, () => '0'), ...right];
  return Uint8Array.from(all.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]));
}

/** A kubeconfig for the admin client. `server` is a URL, `https://127.0.0.1:6443`. */
export function kubeconfigOf(pki: Pki, server: string, name = 'meltemi'): string {
  const base64 = (pem: string): string => Buffer.from(pem).toString('base64');
  return `apiVersion: v1
kind: Config
current-context: ${name}
clusters:
- name: ${name}
  cluster:
    server: ${server}
    certificate-authority-data: ${base64(pki.ca.certPem)}
contexts:
- name: ${name}
  context:
    cluster: ${name}
    user: ${name}-admin
preferences: {}
users:
- name: ${name}-admin
  user:
    client-certificate-data: ${base64(pki.admin.certPem)}
    client-key-data: ${base64(pki.admin.keyPem)}
`;
}
