import type { CredentialSecret } from '../model/snapshot.ts';
import type { KubeObject } from '../objects/meta.ts';
import { namespaceOf } from './context.ts';
import { Cursor } from './cursor.ts';

/** The TLS material of a Secret, in any of the key spellings Istio takes; undefined when it has none. */
export function resolveSecret(object: KubeObject): CredentialSecret | undefined {
  const data = new Cursor((object as { readonly data?: unknown }).data, 'data', () => {});
  const plain = new Cursor((object as { readonly stringData?: unknown }).stringData, 'stringData', () => {});
  const values = new Map<string, string>([...data.entries().map(([key, value]) => [key, decode(value.string())] as const), ...plain.entries().map(([key, value]) => [key, value.string()] as const)]);
  const certificate = values.get('tls.crt') ?? values.get('cert') ?? '';
  const privateKey = values.get('tls.key') ?? values.get('key') ?? '';
  const ca = values.get('ca.crt') ?? values.get('cacert') ?? '';
  if (!certificate && !ca) return undefined;
  return { name: object.metadata.name, namespace: namespaceOf(object), certificate, privateKey, ca };
}

function decode(base64: string): string {
  try {
    return atob(base64);
  } catch {
    return '';
  }
}
