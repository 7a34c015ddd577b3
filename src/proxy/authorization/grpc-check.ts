import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { GrpcService } from '../../xds/gen/envoy/config/core/v3/grpc_service_pb.ts';
import type { AttributeContext } from '../../xds/gen/envoy/service/auth/v3/attribute_context_pb.ts';
import { CheckRequestSchema, CheckResponseSchema, type CheckResponse } from '../../xds/gen/envoy/service/auth/v3/external_auth_pb.ts';
import { durationMs } from '../config/scalars.ts';
import type { SideCall } from '../filters/side-call.ts';
import { FieldHeaders } from '../http/field-headers.ts';

const PATH = '/envoy.service.auth.v3.Authorization/Check';
/** Envoy's default when a gRPC service names none. */
const DEFAULT_TIMEOUT_MS = 200;
const MAX_RESPONSE_BYTES = 4 * 1024 * 1024;

/** Where a gRPC authorizer is. */
export interface GrpcTarget {
  readonly cluster: string;
  readonly authority: string;
  readonly timeoutMs: number;
  readonly metadata: readonly (readonly [name: string, value: string])[];
}

/** @throws Error for services that are not clusters of the proxy. */
export function compileGrpcTarget(service: GrpcService): GrpcTarget {
  const { targetSpecifier: target } = service;
  if (target.case !== 'envoyGrpc') throw new Error('only grpc_service.envoy_grpc is supported');
  return {
    cluster: target.value.clusterName, authority: target.value.authority || target.value.clusterName, timeoutMs: durationMs(service.timeout) ?? DEFAULT_TIMEOUT_MS,
    metadata: service.initialMetadata.map(({ key, value }) => [key.toLowerCase(), value] as const),
  };
}

/** Asks a gRPC authorizer once; a text instead of a response says why there is none. */
export function checkByGrpc(target: GrpcTarget, sideCall: SideCall, attributes: AttributeContext, done: (response: CheckResponse | string) => void): () => void {
  const message = toBinary(CheckRequestSchema, create(CheckRequestSchema, { attributes }));
  const body = Buffer.allocUnsafe(5 + message.length);
  body[0] = 0;
  body.writeUInt32BE(message.length, 1);
  body.set(message, 5);
  const headers = FieldHeaders.of([['content-type', 'application/grpc'], ['te', 'trailers'], ['grpc-timeout', `${target.timeoutMs}m`], ...target.metadata]);
  const head = { method: 'POST', path: PATH, authority: target.authority, scheme: 'http' as const, protocol: 'HTTP/2' as const, headers };
  return sideCall({ cluster: target.cluster, head, body, timeoutMs: target.timeoutMs, maxResponseBytes: MAX_RESPONSE_BYTES }, (result) => {
    if (result.kind === 'failure') return done(result.reason);
    const status = result.trailers?.get('grpc-status') ?? result.head.headers.get('grpc-status');
    if (result.head.status !== 200 || status !== '0') return done(`gRPC status ${status ?? 'missing'}, HTTP status ${result.head.status}`);
    done(decode(result.body));
  });
}

function decode(body: Buffer): CheckResponse | string {
  if (body.length < 5 || body[0] !== 0 || body.readUInt32BE(1) !== body.length - 5) return 'the answer is not one uncompressed message';
  try {
    return fromBinary(CheckResponseSchema, body.subarray(5));
  } catch {
    return 'the answer is no CheckResponse';
  }
}
