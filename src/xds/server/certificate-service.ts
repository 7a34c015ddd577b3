/** `istio.v1.auth.IstioCertificateService/CreateCertificate`: signs a workload's certificate request. */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { status, type ServiceDefinition, type UntypedServiceImplementation, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js';
import type { CertificateAuthority } from '../../identity/ca.ts';
import type { SpiffeId } from '../../identity/spiffe.ts';
import { IstioCertificateRequestSchema, IstioCertificateResponseSchema } from '../gen/istio/ca/ca_pb.ts';
import type { AuthenticationResult, CallerCredentials } from './authenticate.ts';
import { credentialsOf } from './credentials-of.ts';

/** gRPC path of the method. */
export const CREATE_CERTIFICATE_PATH = '/istio.v1.auth.IstioCertificateService/CreateCertificate';

/** What happens in the CA: for logs and metrics. */
export type CertificateEvent =
  | { readonly kind: 'issued'; readonly spiffeId: SpiffeId; readonly ttlMs: number }
  | { readonly kind: 'unauthenticated'; readonly message: string }
  | { readonly kind: 'bad-request'; readonly spiffeId: SpiffeId; readonly message: string };

export interface CertificateServiceOptions {
  readonly authority: () => CertificateAuthority;
  readonly authenticate: (credentials: CallerCredentials) => Promise<AuthenticationResult>;
  readonly now: () => number;
  /** Lifetime when the request names none. Default 24 h. */
  readonly defaultTtlMs?: number;
  readonly onEvent: (event: CertificateEvent) => void;
}

const bytes = (value: Buffer): Buffer => value;

/** The gRPC service definition, on raw buffers. */
export const CERTIFICATE_SERVICE: ServiceDefinition = {
  CreateCertificate: { path: CREATE_CERTIFICATE_PATH, requestStream: false, responseStream: false, requestSerialize: bytes, requestDeserialize: bytes, responseSerialize: bytes, responseDeserialize: bytes },
};

/** Serves {@link CERTIFICATE_SERVICE}. The caller's identity decides the name in the certificate; what the request asks for does not. */
export function certificateService(options: CertificateServiceOptions): UntypedServiceImplementation {
  return {
    CreateCertificate: (call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) => {
      sign(call, options).then(
        (response) => callback(null, response),
        (error: unknown) => callback(isRefusal(error) ? error : { code: status.INTERNAL, details: 'the certificate could not be issued' }),
      );
    },
  };
}

interface Refusal {
  readonly code: status;
  readonly details: string;
}

const isRefusal = (error: unknown): error is Refusal => typeof error === 'object' && error !== null && 'code' in error && 'details' in error;

async function sign(call: ServerUnaryCall<Buffer, Buffer>, options: CertificateServiceOptions): Promise<Buffer> {
  const caller = await options.authenticate(credentialsOf(call));
  if ('failure' in caller) {
    options.onEvent({ kind: 'unauthenticated', message: caller.failure });
    throw { code: status.UNAUTHENTICATED, details: `request authenticate failure: ${caller.failure}` } satisfies Refusal;
  }
  const { spiffeId } = caller;
  try {
    const request = fromBinary(IstioCertificateRequestSchema, call.request);
    const asked = Number(request.validityDuration) * 1000;
    const ttlMs = asked === 0 ? options.defaultTtlMs : asked;
    const certChain = options.authority().signCsr(request.csr, { spiffeId, nowMs: options.now(), ...(ttlMs !== undefined && { ttlMs }) });
    options.onEvent({ kind: 'issued', spiffeId, ttlMs: ttlMs ?? 0 });
    return Buffer.from(toBinary(IstioCertificateResponseSchema, create(IstioCertificateResponseSchema, { certChain })));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    options.onEvent({ kind: 'bad-request', spiffeId, message });
    throw { code: status.INVALID_ARGUMENT, details: `CSR signing error: ${message}` } satisfies Refusal;
  }
}
