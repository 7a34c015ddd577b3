import type { RequestHead } from '../../http/message.ts';
import { CONTINUE } from '../http-filter.ts';
import type { FilterContext, FilterVerdict, HttpFilter, HttpFilterFactory } from '../http-filter.ts';
import { parseBuffer, PER_ROUTE_TYPE_URL } from './config.ts';
import type { BufferConfig } from './config.ts';

/** Forwards requests only when they are whole. @see https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/buffer_filter */
export const bufferFilter: HttpFilterFactory = {
  name: 'envoy.filters.http.buffer',
  typeUrl: 'type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer',
  routeTypeUrl: PER_ROUTE_TYPE_URL,
  parse: parseBuffer,
  create(config, routeConfig) {
    const { buffer } = (routeConfig ?? config) as { readonly buffer: BufferConfig };
    return buffer && new BufferFilter(buffer.maxRequestBytes);
  },
};

class BufferFilter implements HttpFilter {
  constructor(private readonly maxRequestBytes: number) {}

  onRequest(head: RequestHead, context: FilterContext): FilterVerdict {
    if (!context.bodies.requestHasBody) return CONTINUE;
    return {
      kind: 'wait',
      start: (resume) => {
        context.bodies.bufferRequest(this.maxRequestBytes, (body) => {
          if (body === undefined) {
            resume({ kind: 'reply', reply: { status: 413, body: 'Payload Too Large', details: 'request_payload_too_large' } });
            return;
          }
          // The length is known now, and servers that want it get it.
          if (!head.headers.has('content-length')) {
            head.headers.remove('transfer-encoding');
            head.headers.set('content-length', String(body.length));
          }
          resume(CONTINUE);
        });
        return () => {};
      },
    };
  }
}
