import type { PeerMetadata, ResponseFlag, TrafficRecord } from '../../telemetry/traffic-record.ts';
import type { DynamicHosts } from '../cluster/dynamic-hosts.ts';
import type { ProxyNode } from '../config/runtime.ts';
import type { HttpConnectionInfo } from '../hcm/connection-info.ts';
import type { HeaderMap, RequestHead, ResponseHead } from '../http/message.ts';
import type { HttpStats } from '../stats.ts';
import type { RouteEntry } from '../route/route-table.ts';
import type { DynamicMetadata } from './dynamic-metadata.ts';
import type { SideCall } from './side-call.ts';

/** A reply made by the proxy itself. Becomes bytes in `hcm/local-reply.ts` only. */
export interface LocalReply {
  readonly status: number;
  readonly body: string;
  /** `response_code_details` of the access log. */
  readonly details: string;
  readonly flag?: ResponseFlag;
  /** For gRPC callers, instead of the status mapped from `status`. */
  readonly grpcStatus?: number;
  readonly headers?: readonly (readonly [name: string, value: string])[];
}

/** What a filter says about a request head: go on, answer now, or go on later (call `resume` once). */
export type FilterVerdict = { readonly kind: 'continue' } | { readonly kind: 'reply'; readonly reply: LocalReply } | { readonly kind: 'wait'; readonly start: (resume: (verdict: FilterVerdict) => void) => () => void };

/** The verdict of nearly every filter. */
export const CONTINUE: FilterVerdict = { kind: 'continue' };

/** What filters see of a request beside its head. */
export interface FilterContext {
  /** Also while the response passes. */
  readonly request: RequestHead;
  /** Undefined: nothing matched; the router will answer 404. */
  readonly route: RouteEntry | undefined;
  /** Name of the cluster drawn for the request, '' when it is not forwarded. */
  readonly destinationCluster: string;
  readonly direction: 'inbound' | 'outbound' | 'gateway';
  readonly node: ProxyNode;
  readonly sourceIp: string;
  readonly downstreamProtocol: 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2';
  readonly random: () => number;
  /** The connection the request came on. */
  readonly info: HttpConnectionInfo;
  /** Asks somebody else, while the request waits. */
  readonly sideCall: SideCall;
  /** What filters leave for each other. */
  readonly metadata: DynamicMetadata;
  /** What is known of the request by now, for values with formats. */
  known(): TrafficRecord;
  /** Bodies, for filters that look at them whole. */
  readonly bodies: BodyAccess;
  /** From now on the request's body passes a transform on its way to the filters behind this one. */
  transformRequest(make: (exit: BodyExit) => BodyTransform): void;
  /** As {@link transformRequest}, for the response that is passing. */
  transformResponse(make: (exit: BodyExit) => BodyTransform): void;
  /** Answers while the request's body passes; nothing happens once a response has begun, except that it ends. */
  answer(reply: LocalReply): void;
  /** The answer, when it is our own. */
  readonly local: LocalReply | undefined;
  /** The request is gRPC; a filter that makes it so says it here. */
  grpc: boolean;
  /** Looks the route up again, after a filter changed what routes are chosen by. */
  refreshRoute(): void;
  /** Hosts that requests name. */
  readonly dynamicHosts: DynamicHosts;
  /** Set when the request's cluster takes its hosts by name: the port of names that have none. */
  readonly dynamicPort: number | undefined;
  /** `ip:port` for such a cluster; without it there is no host. */
  dynamicDestination: string | undefined;
  /** ALPNs to offer upstream instead of the cluster's, by the protocol spoken there; set by istio.alpn. */
  upstreamAlpn: ReadonlyMap<'http1' | 'http2', readonly string[]> | undefined;
  /** The other side's workload; set by peer metadata. */
  peer: PeerMetadata | undefined;
  /** The caller sent its own metadata, so it understands ours. */
  peerExchanged: boolean;
  addFlag(flag: ResponseFlag): void;
  /** `http.<stat_prefix>.` counters. */
  readonly stats: HttpStats;
}

/** Whole bodies. Only for a filter that makes its message wait meanwhile. */
export interface BodyAccess {
  /** Collects the request's body; `done` is called once, with nothing when it is longer than `maxBytes`. It may be called at once. */
  bufferRequest(maxBytes: number, done: (body: Buffer | undefined) => void): void;
  /** The beginning of what was collected, at most so many bytes: for a body that is longer than was asked for. */
  requestPrefix(maxBytes: number): Buffer;
  /** What goes on instead of the collected body. The filter sets `content-length`. */
  replaceRequest(body: Buffer): void;
  /** After the body was collected. */
  readonly requestTrailers: HeaderMap | undefined;
  /** False: the head is all there is. */
  readonly requestHasBody: boolean;
  bufferResponse(maxBytes: number, done: (body: Buffer | undefined) => void): void;
  replaceResponse(body: Buffer): void;
  readonly responseTrailers: HeaderMap | undefined;
  readonly responseHasBody: boolean;
  /** Gives the response up and answers with another; only while the response waits. */
  replaceByReply(reply: LocalReply): void;
}

/** Where the bytes of a message go on. */
export interface BodyExit {
  /** The bytes must not change afterwards. */
  body(bytes: Buffer): void;
  end(trailers: HeaderMap | undefined): void;
}

/** Changes the body of one message as it passes, without keeping it. Whoever adds one takes care of `content-length`. */
export interface BodyTransform {
  /** The bytes are its own. */
  push(bytes: Buffer): void;
  end(trailers: HeaderMap | undefined): void;
}

/** Makes a response wait: call `resume` once to let it go on. What it returns gives up. */
export type ResponseWait = (resume: () => void) => () => void;

/** One HTTP filter with its config. Shared by all requests: what belongs to a request is in the context. */
export interface HttpFilter {
  /** It may ask for the body of a response. */
  readonly readsBodies?: boolean;
  onRequest?(head: RequestHead, context: FilterContext): FilterVerdict;
  /** Nothing: the response goes on. */
  onResponse?(head: ResponseHead, context: FilterContext): ResponseWait | undefined | void;
}

/** How a filter reads its config and makes instances; one per filter folder. */
export interface HttpFilterFactory {
  /** Canonical name, `envoy.filters.http.fault`. */
  readonly name: string;
  /** Type URL of the filter's own config. */
  readonly typeUrl: string;
  /** Type URL of the per-route config; the same parser's result goes to `create` as `routeConfig`. Undefined: per-route configs are ignored. */
  readonly routeTypeUrl: string | undefined;
  /** Reads protobuf bytes of either type. @throws Error with a sentence when the config cannot be obeyed: it becomes a NACK. */
  parse(typeUrl: string, bytes: Uint8Array): unknown;
  /** Undefined: the filter has nothing to do for this config. `routeConfig` is the most specific per-route config. */
  create(config: unknown, routeConfig: unknown): HttpFilter | undefined;
}
