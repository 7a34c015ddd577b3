import { fromBinary } from '@bufbuild/protobuf';
import { BufferPerRouteSchema, BufferSchema } from '../../../xds/gen/envoy/extensions/filters/http/buffer/v3/buffer_pb.ts';

export const PER_ROUTE_TYPE_URL = 'type.googleapis.com/envoy.extensions.filters.http.buffer.v3.BufferPerRoute';

/** Undefined: this route's requests are not collected. */
export type BufferConfig = { readonly maxRequestBytes: number } | undefined;

/** Reads the filter's config or a route's. @throws Error without a limit. */
export function parseBuffer(typeUrl: string, bytes: Uint8Array): { readonly buffer: BufferConfig } {
  if (typeUrl !== PER_ROUTE_TYPE_URL) return { buffer: limitOf(fromBinary(BufferSchema, bytes).maxRequestBytes) };
  const { override } = fromBinary(BufferPerRouteSchema, bytes);
  if (override.case === 'disabled') return { buffer: undefined };
  return { buffer: limitOf(override.value?.maxRequestBytes) };
}

function limitOf(maxRequestBytes: number | undefined): BufferConfig {
  if (!maxRequestBytes) throw new Error('buffer: max_request_bytes must be set');
  return { maxRequestBytes };
}
