/** Test material: one whole {@link TrafficRecord}, changed where a case needs it. */
import type { PeerMetadata, TrafficRecord } from '../traffic-record.ts';

export const REQUEST_HEADERS: Readonly<Record<string, string>> = { 'user-agent': 'curl/8', 'x-request-id': 'req-1' };
export const RESPONSE_HEADERS: Readonly<Record<string, string>> = { 'content-type': 'text/html', 'x-envoy-upstream-service-time': '11' };

/** A peer with a name in every field. */
export function peer(name: string, namespace = 'default'): PeerMetadata {
  return { workload: `${name}-v1`, namespace, app: name, version: 'v1', canonicalService: name, canonicalRevision: 'v1', cluster: 'Kubernetes' };
}

/** A successful outbound GET from sleep to productpage at 2023-11-14T22:13:20.042Z. */
export function record(changes: Partial<TrafficRecord> = {}): TrafficRecord {
  return {
    direction: 'outbound', protocol: 'HTTP/1.1', startMs: 1_700_000_000_042, durationMs: 12, responseCode: 200, responseCodeDetails: 'via_upstream', responseFlags: [],
    connectionTerminationDetails: '', upstreamTransportFailureReason: '', bytesReceived: 0, bytesSent: 4183, wireBytesReceived: 310, wireBytesSent: 4400,
    method: 'GET', path: '/productpage?u=1', authority: 'productpage:9080', scheme: 'http',
    requestHeader: (name) => REQUEST_HEADERS[name], responseHeader: (name) => RESPONSE_HEADERS[name],
    grpc: false, grpcStatus: '', routeName: 'default', upstreamCluster: 'outbound|9080||productpage.default.svc.cluster.local', upstreamHost: '10.244.0.7:9080',
    upstreamLocalAddress: '10.244.0.5:51000', downstreamLocalAddress: '10.96.3.3:9080', downstreamRemoteAddress: '10.0.0.9:4242', requestedServerName: '', attempts: 1,
    peerPrincipal: '', localPrincipal: '', peer: peer('productpage'),
    destinationService: { host: 'productpage.default.svc.cluster.local', name: 'productpage', namespace: 'default' },
    ...changes,
  };
}
