/** Asks the mesh's CA for a certificate. */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { IstioCertificateRequestSchema, IstioCertificateResponseSchema } from '../gen/istio/ca/ca_pb.ts';
import { authorizationHeaders } from './ads-client.ts';
import { GrpcChannel, type GrpcChannelOptions } from './grpc-channel.ts';

const CREATE_CERTIFICATE_PATH = '/istio.v1.auth.IstioCertificateService/CreateCertificate';

export interface CertificateRequestOptions extends GrpcChannelOptions {
  /** File with the service-account token (audience `istio-ca`). Without one the caller must show a client certificate (`tls.clientCertificate`). */
  readonly tokenPath?: string;
  readonly csrPem: string;
  /** Asked lifetime; the CA refuses more than 90 days. Default: the CA's own (24 h). */
  readonly ttlMs?: number;
  /** Which of several signers of the CA is wanted. @see CERT_SIGNER_DOMAIN of istiod */
  readonly certSigner?: string;
}

/** PEM certificates, leaf first, root last. Rejects with {@link GrpcError}: code 16 when the caller is not believed, 3 when the request is bad, 14 when the CA cannot be reached. */
export async function requestCertificate(options: CertificateRequestOptions): Promise<string[]> {
  const headers = await authorizationHeaders(options);
  const channel = new GrpcChannel(options);
  try {
    const request = create(IstioCertificateRequestSchema, { csr: options.csrPem, validityDuration: BigInt(Math.ceil((options.ttlMs ?? 0) / 1000)), ...(options.certSigner !== undefined && { metadata: { CertSigner: options.certSigner } }) });
    const response = await channel.unary(CREATE_CERTIFICATE_PATH, toBinary(IstioCertificateRequestSchema, request), headers);
    return fromBinary(IstioCertificateResponseSchema, response).certChain;
  } finally {
    channel.close();
  }
}
