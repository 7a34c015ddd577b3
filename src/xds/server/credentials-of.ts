/** What a gRPC call shows of its caller. */
import type { Metadata } from '@grpc/grpc-js';
import type { CallerCredentials } from './authenticate.ts';

/** Reads the `authorization` header and the TLS client certificate of a call. */
export function credentialsOf(call: { readonly metadata: Metadata; getAuthContext(): { sslPeerCertificate?: { raw?: Buffer } } }): CallerCredentials {
  const [header] = call.metadata.get('authorization');
  const raw = call.getAuthContext().sslPeerCertificate?.raw;
  return { authorization: typeof header === 'string' ? header : undefined, clientCertificate: raw };
}
