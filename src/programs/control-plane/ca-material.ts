/** Where the CA's material is kept: Secrets of the control plane's namespace, or files. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CaMaterial } from '../../identity/ca.ts';
import type { SelfSignedState } from '../../identity/root-rotation.ts';
import type { KubeObject } from '../../objects/meta.ts';

/** Made by us when nobody plugs in a CA. */
export const SELF_SIGNED_SECRET = 'istio-ca-secret';
/** Plugged in by the user; wins. @see https://istio.io/latest/docs/tasks/security/cert-management/plugin-ca-cert/ */
export const PLUGGED_SECRET = 'cacerts';
/** Secrets of this type are ours to change. */
const SELF_SIGNED_TYPE = 'istio.io/ca-root';

/** When the root in `next-ca-cert.pem` was announced, and when the present one began to sign (ISO 8601). */
const ANNOUNCED_AT = 'meltemi.io/root-announced-at';
const CHANGED_AT = 'meltemi.io/root-changed-at';

export interface SecretObject extends KubeObject {
  readonly type?: string;
  readonly data?: Readonly<Record<string, string>>;
}

const encode = (text: string): string => Buffer.from(text).toString('base64');
const decode = (secret: SecretObject, key: string): string => Buffer.from(secret.data?.[key] ?? '', 'base64').toString('utf8');

/** The CA in a secret; undefined when it holds none. */
export function materialOf(secret: SecretObject | undefined): CaMaterial | undefined {
  const caCertPem = secret && decode(secret, 'ca-cert.pem');
  const caKeyPem = secret && decode(secret, 'ca-key.pem');
  if (!caCertPem || !caKeyPem) return undefined;
  return { caCertPem, caKeyPem, rootCertPem: decode(secret, 'root-cert.pem') || caCertPem, certChainPem: decode(secret, 'cert-chain.pem') };
}

/** The self-signed CA in a secret of ours, with what its change has come to; undefined for secrets that people made. */
export function selfSignedStateOf(secret: SecretObject | undefined): SelfSignedState | undefined {
  const material = materialOf(secret);
  if (!secret || !material || secret.type !== SELF_SIGNED_TYPE) return undefined;
  const annotations = secret.metadata.annotations ?? {};
  const timeOf = (name: string): number | undefined => (Number.isFinite(Date.parse(annotations[name] ?? '')) ? Date.parse(annotations[name]!) : undefined);
  const [certPem, keyPem, announcedAtMs, changedAtMs] = [decode(secret, 'next-ca-cert.pem'), decode(secret, 'next-ca-key.pem'), timeOf(ANNOUNCED_AT), timeOf(CHANGED_AT)];
  return { material, ...(certPem && keyPem && { next: { certPem, keyPem, announcedAtMs: announcedAtMs ?? 0 } }), ...(changedAtMs !== undefined && { changedAtMs }) };
}

/** A self-signed CA as a secret. `live`: the stored one, which the result replaces only while nobody else has. */
export function secretOf({ material, next, changedAtMs }: SelfSignedState, where: { readonly name: string; readonly namespace: string }, live?: SecretObject): SecretObject {
  const { [ANNOUNCED_AT]: _announced, [CHANGED_AT]: _changed, ...kept } = live?.metadata.annotations ?? {};
  const annotations = { ...kept, ...(next && { [ANNOUNCED_AT]: new Date(next.announcedAtMs).toISOString() }), ...(changedAtMs !== undefined && { [CHANGED_AT]: new Date(changedAtMs).toISOString() }) };
  return {
    apiVersion: 'v1', kind: 'Secret', type: SELF_SIGNED_TYPE, metadata: { ...live?.metadata, ...where, annotations },
    data: {
      'ca-cert.pem': encode(material.caCertPem), 'ca-key.pem': encode(material.caKeyPem), 'root-cert.pem': encode(material.rootCertPem), 'cert-chain.pem': encode(material.certChainPem), 'key.pem': '',
      ...(next && { 'next-ca-cert.pem': encode(next.certPem), 'next-ca-key.pem': encode(next.keyPem) }),
    },
  };
}

/** The CA in files named as the keys of `cacerts`; undefined when key or certificate are missing. */
export function materialIn(directory: string): CaMaterial | undefined {
  const read = (name: string): string => {
    try {
      return readFileSync(join(directory, name), 'utf8');
    } catch {
      return '';
    }
  };
  const [caCertPem, caKeyPem] = [read('ca-cert.pem'), read('ca-key.pem')];
  if (!caCertPem || !caKeyPem) return undefined;
  return { caCertPem, caKeyPem, rootCertPem: read('root-cert.pem') || caCertPem, certChainPem: read('cert-chain.pem') };
}

/** Whether two materials are the same in every part: also a change of the roots alone counts. */
export function sameMaterial(a: CaMaterial, b: CaMaterial): boolean {
  return a.caCertPem === b.caCertPem && a.caKeyPem === b.caKeyPem && a.rootCertPem === b.rootCertPem && a.certChainPem === b.certChainPem;
}
