/** What a gRPC call shows of its caller. */
import type { CallerCredentials } from './authenticate.ts';
import type { ServerCall } from './grpc-server.ts';

/** The `authorization` header and the TLS client certificate of a call. */
export function credentialsOf(call: ServerCall): CallerCredentials {
  return { authorization: call.headers.authorization, clientCertificate: call.clientCertificate };
}
