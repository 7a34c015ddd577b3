import { fromBinary } from '@bufbuild/protobuf';
import { GrpcWebSchema } from '../../../xds/gen/envoy/extensions/filters/http/grpc_web/v3/grpc_web_pb.ts';
import { grpcStatusOf, percentEncode } from '../../hcm/local-reply.ts';
import type { RequestHead, ResponseHead } from '../../http/message.ts';
import { CONTINUE } from '../http-filter.ts';
import type { FilterContext, FilterVerdict, HttpFilter, HttpFilterFactory, LocalReply, ResponseWait } from '../http-filter.ts';
import { WebResponse, WebTextRequest } from './messages.ts';

const TEXT_TYPES: ReadonlySet<string> = new Set(['application/grpc-web-text', 'application/grpc-web-text+proto']);
const BINARY_TYPES: ReadonlySet<string> = new Set(['application/grpc-web', 'application/grpc-web+proto']);

/** Lets clients that cannot read trailers call gRPC servers. @see https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/grpc_web_filter */
export const grpcWebFilter: HttpFilterFactory = {
  name: 'envoy.filters.http.grpc_web',
  typeUrl: 'type.googleapis.com/envoy.extensions.filters.http.grpc_web.v3.GrpcWeb',
  routeTypeUrl: undefined,
  parse: (_typeUrl, bytes) => fromBinary(GrpcWebSchema, bytes),
  create: () => new GrpcWebFilter(),
};

class GrpcWebFilter implements HttpFilter {
  /** Requests that are gRPC-Web, and whether their answers are text. */
  private readonly asked = new WeakMap<RequestHead, { readonly textAnswer: boolean }>();

  onRequest(head: RequestHead, context: FilterContext): FilterVerdict {
    const type = head.headers.get('content-type') ?? '';
    const text = TEXT_TYPES.has(type);
    if (!text && !BINARY_TYPES.has(type)) return CONTINUE;
    this.asked.set(head, { textAnswer: TEXT_TYPES.has(head.headers.get('accept') ?? '') });
    // It is the length of what the browser sent, not of the messages.
    head.headers.remove('content-length');
    head.headers.set('content-type', 'application/grpc');
    head.headers.set('te', 'trailers');
    head.headers.set('grpc-accept-encoding', 'identity');
    context.grpc = true;
    if (text) context.transformRequest((exit) => new WebTextRequest(exit, (what) => context.answer(badText(what))));
    return CONTINUE;
  }

  onResponse(head: ResponseHead, context: FilterContext): ResponseWait | undefined {
    const asked = this.asked.get(context.request);
    if (asked === undefined) return undefined;
    const { headers } = head;
    const foreign = !(headers.get('content-type') ?? '').startsWith('application/grpc');
    headers.set('content-type', asked.textAnswer ? 'application/grpc-web-text+proto' : 'application/grpc-web+proto');
    if (context.local !== undefined) {
      // Our own answers keep their status beside that of gRPC, as in Envoy.
      head.status = context.local.status;
      return undefined;
    }
    if (foreign) return asMessage(head, context);
    headers.remove('content-length');
    context.transformResponse((exit) => new WebResponse(exit, asked.textAnswer));
    return undefined;
  }
}

/** Longest answer that can become a `grpc-message`. */
const MAX_MESSAGE_BYTES = 16_384;

/** An answer that is no gRPC becomes an error the client can read, its body the message. */
function asMessage(head: ResponseHead, context: FilterContext): ResponseWait {
  return (resume) => {
    context.bodies.bufferResponse(MAX_MESSAGE_BYTES, (body) => {
      if (body === undefined) {
        context.bodies.replaceByReply({ status: 500, body: 'Internal Server Error', details: 'response_payload_too_large' });
        return;
      }
      head.headers.set('grpc-status', String(grpcStatusOf(head.status)));
      head.headers.set('grpc-message', percentEncode(body));
      head.headers.set('content-length', '0');
      context.bodies.replaceResponse(Buffer.alloc(0));
      resume();
    });
    return () => {};
  };
}

function badText(what: 'broken' | 'short'): LocalReply {
  return { status: 400, body: 'Bad gRPC-web request, invalid base64 data.', details: what === 'short' ? 'grpc_base_64_decode_failed_bad_size' : 'grpc_base_64_decode_failed' };
}
