import { constants, createBrotliCompress, createGzip } from 'node:zlib';
import type { Transform } from 'node:stream';
import { fromBinary } from '@bufbuild/protobuf';
import { unpackAny } from '../../../xds/codec.ts';
import { BrotliSchema } from '../../../xds/gen/envoy/extensions/compression/brotli/compressor/v3/brotli_pb.ts';
import { Gzip_CompressionLevel as Level, Gzip_CompressionStrategy as Strategy, GzipSchema } from '../../../xds/gen/envoy/extensions/compression/gzip/compressor/v3/gzip_pb.ts';
import { CompressorPerRouteSchema, CompressorSchema, type Compressor } from '../../../xds/gen/envoy/extensions/filters/http/compressor/v3/compressor_pb.ts';

export const PER_ROUTE_TYPE_URL = 'type.googleapis.com/envoy.extensions.filters.http.compressor.v3.CompressorPerRoute';

export interface CompressorConfig {
  readonly encoding: 'gzip' | 'br';
  readonly make: () => Transform;
  /** Shorter bodies stay as they are. Default 30. */
  readonly minLength: number;
  readonly contentTypes: ReadonlySet<string>;
  readonly notWithEtag: boolean;
  /** The server is not told what the client takes, so that it leaves compression to us. */
  readonly hidesAcceptEncoding: boolean;
}

export interface CompressorRouteConfig {
  readonly disabled: boolean;
  readonly hidesAcceptEncoding: boolean | undefined;
}

/** Envoy's list. */
const CONTENT_TYPES: ReadonlySet<string> = new Set([
  'text/html', 'text/plain', 'text/css', 'text/javascript', 'application/javascript', 'application/x-javascript', 'text/ecmascript', 'text/xml', 'application/json', 'application/ecmascript', 'application/xml', 'application/xhtml+xml', 'image/svg+xml',
]);

/** @throws Error for what would be compressed otherwise than asked. Undefined: nothing is. */
export function parseCompressor(typeUrl: string, bytes: Uint8Array): CompressorConfig | CompressorRouteConfig | undefined {
  if (typeUrl === PER_ROUTE_TYPE_URL) {
    const { override } = fromBinary(CompressorPerRouteSchema, bytes);
    return { disabled: override.case === 'disabled', hidesAcceptEncoding: override.case === 'overrides' ? override.value.responseDirectionConfig?.removeAcceptEncodingHeader : undefined };
  }
  const config = fromBinary(CompressorSchema, bytes);
  if (config.requestDirectionConfig) throw new Error('compressor: request_direction_config is not supported');
  const response = config.responseDirectionConfig;
  if ((response?.commonConfig?.enabled ?? config.runtimeEnabled)?.defaultValue === false) return undefined;
  const types = response?.commonConfig?.contentType ?? config.contentType;
  return {
    ...libraryOf(config),
    minLength: response?.commonConfig?.minContentLength ?? config.contentLength ?? 30,
    contentTypes: types.length > 0 ? new Set(types.map((type) => type.toLowerCase())) : CONTENT_TYPES,
    notWithEtag: response?.disableOnEtagHeader ?? config.disableOnEtagHeader,
    hidesAcceptEncoding: response?.removeAcceptEncodingHeader ?? config.removeAcceptEncodingHeader,
  };
}

/** What came leaves at once, so that streams stay streams. */
function libraryOf({ compressorLibrary: library }: Compressor): Pick<CompressorConfig, 'encoding' | 'make'> {
  const gzip = unpackAny(library?.typedConfig, GzipSchema);
  if (gzip) {
    const level = gzip.compressionLevel === Level.DEFAULT_COMPRESSION ? constants.Z_DEFAULT_COMPRESSION : gzip.compressionLevel;
    const strategy = { [Strategy.DEFAULT_STRATEGY]: constants.Z_DEFAULT_STRATEGY, [Strategy.FILTERED]: constants.Z_FILTERED, [Strategy.HUFFMAN_ONLY]: constants.Z_HUFFMAN_ONLY, [Strategy.RLE]: constants.Z_RLE, [Strategy.FIXED]: constants.Z_FIXED }[gzip.compressionStrategy];
    return { encoding: 'gzip', make: () => createGzip({ level, strategy, memLevel: gzip.memoryLevel ?? 5, windowBits: gzip.windowBits ?? 12, chunkSize: gzip.chunkSize ?? 4096, flush: constants.Z_SYNC_FLUSH }) };
  }
  const brotli = unpackAny(library?.typedConfig, BrotliSchema);
  if (!brotli) throw new Error(`compressor library ${library?.name ?? ''} (${library?.typedConfig?.typeUrl ?? 'no config'}) is not supported`);
  const params = { [constants.BROTLI_PARAM_QUALITY]: brotli.quality ?? 3, [constants.BROTLI_PARAM_LGWIN]: brotli.windowBits ?? 18 };
  return { encoding: 'br', make: () => createBrotliCompress({ params, chunkSize: brotli.chunkSize ?? 4096, flush: constants.BROTLI_OPERATION_FLUSH }) };
}
