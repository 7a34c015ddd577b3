import { decodeBase64Text } from '../base/base64.ts';
import type { CredentialSecret } from '../model/snapshot.ts';
import type { KubeObject } from '../objects/meta.ts';
import { namespaceOf } from './context.ts';
import { Cursor } from './cursor.ts';

/** The TLS material of a Secret, in any of the key spellings Istio takes; undefined when it has none. */
export function resolveSecret(object: KubeObject): CredentialSecret | undefined {
  const data = new Cursor((object as { readonly data?: unknown }).data, 'data', () => {});
  const plain = new Cursor((object as { readonly stringData?: unknown }).stringData, 'stringData', () => {});
  const values = new Map<string, string>([...data.entries().map(([key, value]) => [key, decodeBase64Text(value.string()) ?? ''] as const), ...plain.entries().map(([key, value]) => [key, value.string()] as const)]);
  const certificate = values.get('tls.crt') ?? values.get('cert') ?? '';
  const privateKey = values.get('tls.key') ?? values.get('key') ?? '';
  const ca = values.get('ca.crt') ?? values.get('cacert') ?? '';
  const crl = values.get('ca.crl') ?? '';
  // What is no PEM would be refused by the proxy together with everything sent along with it.
  if (![certificate, privateKey, ca, crl].every((text) => text === '' || text.includes('-----BEGIN '))) return undefined;
  if (!certificate && !ca) return undefined;
  return { name: object.metadata.name, namespace: namespaceOf(object), certificate, privateKey, ca, ...(crl !== '' && { crl }) };
}

/** The CA bundle of a ConfigMap (`ca.crt` or `cacert`), for what refers to one; undefined when it has none. */
export function resolveAuthority(object: KubeObject): CredentialSecret | undefined {
  const data = new Cursor((object as { readonly data?: unknown }).data, 'data', () => {});
  const ca = data.at('ca.crt').string() || data.at('cacert').string();
  return ca.includes('-----BEGIN ') ? { name: object.metadata.name, namespace: namespaceOf(object), certificate: '', privateKey: '', ca } : undefined;
}
