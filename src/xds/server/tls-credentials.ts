/** gRPC server credentials that ask for a client certificate without insisting on one, and whose own certificate can be replaced while serving. */
import { ServerCredentials } from '@grpc/grpc-js';

/** PEM texts of a server. */
export interface ServerIdentity {
  readonly privateKeyPem: string;
  readonly certificateChainPem: string;
  /** Roots that are named to clients as acceptable issuers. */
  readonly rootsPem: string;
}

/** Connections without a certificate, or with a foreign one, are let in: whoever serves them checks the caller itself. */
export class RotatingServerCredentials extends ServerCredentials {
  private identity: ServerIdentity;

  constructor(identity: ServerIdentity) {
    super({ requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.2' }, contextOf(identity));
    this.identity = identity;
  }

  /** New connections get the new certificate; open ones stay. */
  rotate(identity: ServerIdentity): void {
    this.identity = identity;
    this.updateSecureContextOptions(contextOf(identity));
  }

  override _equals(other: ServerCredentials): boolean {
    return other instanceof RotatingServerCredentials && other.identity === this.identity;
  }
}

function contextOf(identity: ServerIdentity): { ca: Buffer; cert: Buffer; key: Buffer } {
  return { ca: Buffer.from(identity.rootsPem), cert: Buffer.from(identity.certificateChainPem), key: Buffer.from(identity.privateKeyPem) };
}
