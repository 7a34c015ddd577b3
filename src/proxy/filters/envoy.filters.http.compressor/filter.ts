import type { Transform } from 'node:stream';
import { H1Headers } from '../../http/h1-headers.ts';
import type { HeaderMap, RequestHead, ResponseHead } from '../../http/message.ts';
import { CONTINUE } from '../http-filter.ts';
import type { BodyExit, BodyTransform, FilterContext, FilterVerdict, HttpFilter, HttpFilterFactory } from '../http-filter.ts';
import { parseCompressor, PER_ROUTE_TYPE_URL } from './config.ts';
import type { CompressorConfig, CompressorRouteConfig } from './config.ts';

/** Compresses answers for clients that take it. @see https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/compressor_filter */
export const compressorFilter: HttpFilterFactory = {
  name: 'envoy.filters.http.compressor',
  typeUrl: 'type.googleapis.com/envoy.extensions.filters.http.compressor.v3.Compressor',
  routeTypeUrl: PER_ROUTE_TYPE_URL,
  parse: parseCompressor,
  create(config, routeConfig) {
    const own = config as CompressorConfig | undefined;
    const route = routeConfig as CompressorRouteConfig | undefined;
    if (own === undefined || route?.disabled === true) return undefined;
    return new CompressorFilter({ ...own, hidesAcceptEncoding: route?.hidesAcceptEncoding ?? own.hidesAcceptEncoding });
  },
};

class CompressorFilter implements HttpFilter {
  private readonly accepted = new WeakSet<RequestHead>();

  constructor(private readonly config: CompressorConfig) {}

  onRequest(head: RequestHead): FilterVerdict {
    const { config } = this;
    if (takes(head.headers.getAll('accept-encoding').join(','), config.encoding)) this.accepted.add(head);
    if (config.hidesAcceptEncoding) head.headers.remove('accept-encoding');
    return CONTINUE;
  }

  onResponse(head: ResponseHead, context: FilterContext): void {
    const { headers } = head;
    if (!this.compressible(head)) return;
    addVary(headers);
    if (!this.accepted.has(context.request) || context.request.method === 'HEAD' || head.status === 204 || head.status === 304) return;
    const etag = headers.get('etag');
    // The bytes are others now; only a weak tag still says the truth.
    if (etag !== undefined && !/^w\//i.test(etag)) headers.remove('etag');
    headers.remove('content-length');
    headers.set('content-encoding', this.config.encoding);
    context.transformResponse((exit) => new Compression(this.config.make(), exit));
  }

  /** @see Envoy compressor_filter.cc encodeHeaders */
  private compressible({ status, headers }: ResponseHead): boolean {
    const { config } = this;
    const length = headers.get('content-length');
    // Without a length only what HTTP/1 sends in pieces is compressed, as in Envoy.
    if (length === undefined ? !(headers instanceof H1Headers) : Number(length) < config.minLength) return false;
    if (status === 101 || headers.has('content-encoding') || (config.notWithEtag && headers.has('etag'))) return false;
    if (/(?:^|,)\s*no-transform\s*(?:,|$)/i.test(headers.getAll('cache-control').join(','))) return false;
    const type = headers.get('content-type');
    return type === undefined || config.contentTypes.has(type.split(';', 1)[0]!.trim().toLowerCase());
  }
}

class Compression implements BodyTransform {
  constructor(
    private readonly stream: Transform,
    private readonly exit: BodyExit,
  ) {
    stream.on('data', (bytes: Buffer) => exit.body(bytes));
    stream.on('error', () => exit.end(undefined));
  }

  push(bytes: Buffer): void {
    this.stream.write(bytes);
  }

  end(trailers: HeaderMap | undefined): void {
    this.stream.once('end', () => this.exit.end(trailers));
    this.stream.end();
  }
}

function addVary(headers: HeaderMap): void {
  const vary = headers.getAll('vary').join(', ');
  if (!/(?:^|,)\s*accept-encoding\s*(?:,|$)/i.test(vary)) headers.set('vary', vary === '' ? 'Accept-Encoding' : `${vary}, Accept-Encoding`);
}

/** Does an Accept-Encoding take this coding, and not rather none? @see RFC 9110 section 12.5.3 */
function takes(accepted: string, encoding: string): boolean {
  const weights = new Map<string, number>();
  for (const part of accepted.toLowerCase().split(',')) {
    const [name = '', ...parameters] = part.split(';').map((piece) => piece.trim());
    const weight = Number(parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? 1);
    if (name !== '') weights.set(name, Number.isNaN(weight) ? 0 : weight);
  }
  const own = weights.get(encoding) ?? weights.get('*') ?? 0;
  return own > 0 && own >= (weights.get('identity') ?? 0);
}
