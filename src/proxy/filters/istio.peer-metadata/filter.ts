import type { HeaderMap, RequestHead, ResponseHead } from '../../http/message.ts';
import { CONTINUE } from '../http-filter.ts';
import type { FilterContext, FilterVerdict, HttpFilter, HttpFilterFactory } from '../http-filter.ts';
import type { ProxyNode } from '../../config/runtime.ts';
import { parsePeerMetadata } from './config.ts';
import type { PeerMetadataConfig } from './config.ts';
import { decodeMetadata, encodeMetadata } from './metadata-codec.ts';

const METADATA = 'x-envoy-peer-metadata';
const ID = 'x-envoy-peer-metadata-id';
/** Clusters whose hosts are not ours to know. */
const EXTERNAL: ReadonlySet<string> = new Set(['PassthroughCluster', 'BlackHoleCluster', 'InboundPassthroughCluster']);

/** Exchanges workload metadata with the sidecar on the other side by headers, which never reach a workload. @see Istio peer_metadata filter */
export const peerMetadataFilter: HttpFilterFactory = {
  name: 'istio.metadata_exchange',
  typeUrl: 'type.googleapis.com/io.istio.http.peer_metadata.Config',
  routeTypeUrl: undefined,
  parse: (_typeUrl, bytes) => parsePeerMetadata(bytes),
  create: (config) => new PeerMetadataFilter(config as PeerMetadataConfig),
};

const encoded = new WeakMap<ProxyNode, string>();

class PeerMetadataFilter implements HttpFilter {
  constructor(private readonly config: PeerMetadataConfig) {}

  onRequest(head: RequestHead, context: FilterContext): FilterVerdict {
    const { config } = this;
    if (config.readFromRequest) {
      context.peer = take(head.headers) ?? context.peer;
      context.peerExchanged = context.peer !== undefined;
    }
    if (config.writeToRequest && !(config.skipExternalClusters && EXTERNAL.has(context.destinationCluster)) && !EXTERNAL.has(context.destinationCluster)) write(head.headers, context.node);
    return CONTINUE;
  }

  onResponse(head: ResponseHead, context: FilterContext): void {
    const { config } = this;
    if (config.readFromResponse) context.peer = take(head.headers) ?? context.peer;
    if (config.writeToResponse && context.peerExchanged) write(head.headers, context.node);
  }
}

function take(headers: HeaderMap): FilterContext['peer'] {
  const text = headers.get(METADATA);
  headers.remove(ID);
  if (text === undefined) return undefined;
  headers.remove(METADATA);
  return decodeMetadata(text);
}

function write(headers: HeaderMap, node: ProxyNode): void {
  let text = encoded.get(node);
  if (text === undefined) encoded.set(node, (text = encodeMetadata(node)));
  headers.put(METADATA, text);
  headers.set(ID, node.id);
}
