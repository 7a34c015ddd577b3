// Asks the control plane for a certificate, with the pod's service-account token.
import { readFileSync } from 'node:fs';
import { requestCertificate } from '../../xds/client/certificate-client.ts';
import type { GrpcChannelOptions, GrpcTarget } from '../../xds/client/grpc-channel.ts';

/** Signs requests: leaf first, root last. Rejects with the reason. */
export interface CaClient {
  sign(csrPem: string, ttlSeconds: number): Promise<readonly string[]>;
}

/** Where a control plane listens and how to prove who we are. Files are read for every connection: tokens and roots rotate. */
export interface ControlPlaneConnection {
  /** `host:port`. */
  readonly address: string;
  /** PEM roots its certificate must chain to; undefined speaks plaintext (port 15010). */
  readonly rootPath: string | undefined;
  readonly tokenPath: string;
  /** Opens TCP sockets that redirection rules let pass. Default: plain ones. */
  readonly openSocket?: GrpcChannelOptions['openSocket'];
}

/** A client of `istio.v1.auth.IstioCertificateService`. `certSigner`: which of several signers of the CA is wanted. */
export function openCaClient(connection: ControlPlaneConnection, certSigner?: string): CaClient {
  return { sign: (csrPem, ttlSeconds) => requestCertificate({ ...channelOptions(connection), tokenPath: connection.tokenPath, csrPem, ttlMs: ttlSeconds * 1000, ...(certSigner === undefined ? {} : { certSigner }) }) };
}

/** Target and TLS of a connection, as every gRPC client of the agent needs them. */
export function channelOptions(connection: ControlPlaneConnection): GrpcChannelOptions {
  const { rootPath } = connection;
  return {
    target: parseTarget(connection.address),
    ...(rootPath === undefined ? {} : { tls: { rootsPem: () => readFileSync(rootPath, 'utf8') } }),
    ...(connection.openSocket ? { openSocket: connection.openSocket } : {}),
  };
}

/** `host:port`, `[v6]:port`, or `unix:path`. */
export function parseTarget(address: string): GrpcTarget {
  if (address.startsWith('unix:')) return { path: address.slice('unix:'.length) };
  const colon = address.lastIndexOf(':');
  if (colon < 0) return { host: address, port: 15012 };
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) };
}
