/** `istio.v1.auth.IstioCertificateService/CreateCertificate`: signs a workload's certificate request. */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { parseCsr } from '../../identity/csr.ts';
import type { SpiffeId } from '../../identity/spiffe.ts';
import { IstioCertificateRequestSchema, IstioCertificateResponseSchema } from '../gen/istio/ca/ca_pb.ts';
import type { AuthenticationResult, CallerCredentials } from './authenticate.ts';
import { credentialsOf } from './credentials-of.ts';
import { GRPC_STATUS, type CallHandler, type ServerCall } from './grpc-server.ts';

/** gRPC path of the method. */
export const CREATE_CERTIFICATE_PATH = '/istio.v1.auth.IstioCertificateService/CreateCertificate';

/** What happens in the CA: for logs and metrics. */
export type CertificateEvent =
  | { readonly kind: 'issued'; readonly spiffeId: SpiffeId; readonly ttlMs: number }
  | { readonly kind: 'unauthenticated'; readonly message: string }
  /** `csr`: the request cannot be read; `signing`: it can, but is not signed as it stands. */
  | { readonly kind: 'bad-request'; readonly reason: 'csr' | 'signing'; readonly spiffeId: SpiffeId; readonly message: string };

/** Signs for a workload whose identity is proven: our own CA, or one that we ask. */
export interface WorkloadSigner {
  /**
   * PEM certificates, leaf first, roots last. Throws or rejects with a sentence for the caller when the request is not good, and with
   * {@link SignerUnavailable} when it may be tried again.
   */
  signCsr(csrPem: string, options: SigningOptions): readonly string[] | Promise<readonly string[]>;
}

/** What a certificate is to say. */
export interface SigningOptions {
  /** The caller's proven identity, the only name in the certificate. */
  readonly spiffeId: SpiffeId;
  /** Default: the signer's own. */
  readonly ttlMs?: number;
  readonly nowMs: number;
  /** Which of several signers the caller wants (`CertSigner` in the request's metadata). */
  readonly certSigner?: string;
}

/** The signer could not be asked, or did not answer: not the request's fault. */
export class SignerUnavailable extends Error {
  override name = 'SignerUnavailable';
}

export interface CertificateServiceOptions {
  readonly authority: () => WorkloadSigner;
  readonly authenticate: (credentials: CallerCredentials) => Promise<AuthenticationResult>;
  readonly now: () => number;
  /** Lifetime when the request names none. Default 24 h. */
  readonly defaultTtlMs?: number;
  readonly onEvent: (event: CertificateEvent) => void;
}

interface Verdict {
  readonly status: number;
  readonly message: string;
  readonly response?: Uint8Array;
}

/** Serves one call. The caller's identity decides the name in the certificate; what the request asks for does not. */
export function serveCertificate(call: ServerCall, options: CertificateServiceOptions): CallHandler {
  let asked = false;
  return {
    onMessage(message) {
      if (asked) return;
      asked = true;
      void sign(message, call, options).then(({ status, message: text, response }) => {
        if (response) call.send(response);
        call.end(status, text);
      });
    },
    onFinish: () => void (asked || call.end(GRPC_STATUS.invalidArgument, 'no request')),
    onClose: () => {},
  };
}

/** Never rejects. */
async function sign(message: Buffer, call: ServerCall, options: CertificateServiceOptions): Promise<Verdict> {
  const caller = await options.authenticate(credentialsOf(call));
  if ('failure' in caller) {
    options.onEvent({ kind: 'unauthenticated', message: caller.failure });
    return { status: GRPC_STATUS.unauthenticated, message: `request authenticate failure: ${caller.failure}` };
  }
  const { spiffeId } = caller;
  try {
    const request = fromBinary(IstioCertificateRequestSchema, message);
    const askedMs = Number(request.validityDuration) * 1000;
    const ttlMs = askedMs === 0 ? options.defaultTtlMs : askedMs;
    const certSigner = request.metadata && Object.hasOwn(request.metadata, 'CertSigner') ? request.metadata['CertSigner'] : undefined;
    const certChain = [...(await options.authority().signCsr(request.csr, { spiffeId, nowMs: options.now(), ...(ttlMs !== undefined && { ttlMs }), ...(typeof certSigner === 'string' && certSigner !== '' && { certSigner }) }))];
    options.onEvent({ kind: 'issued', spiffeId, ttlMs: ttlMs ?? 0 });
    return { status: GRPC_STATUS.ok, message: '', response: toBinary(IstioCertificateResponseSchema, create(IstioCertificateResponseSchema, { certChain })) };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    options.onEvent({ kind: 'bad-request', reason: isReadable(message) ? 'signing' : 'csr', spiffeId, message: text });
    return { status: error instanceof SignerUnavailable ? GRPC_STATUS.unavailable : GRPC_STATUS.invalidArgument, message: `CSR signing error: ${text}` };
  }
}

/** Asked only after a failure, to tell whose it is. */
function isReadable(message: Buffer): boolean {
  try {
    parseCsr(fromBinary(IstioCertificateRequestSchema, message).csr);
    return true;
  } catch {
    return false;
  }
}
