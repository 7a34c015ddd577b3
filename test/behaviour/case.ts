/** What a case file says. One file = one mesh and the cases that are asked of it. */
import type { KubeObject } from '../../src/objects/meta.ts';

export interface CaseFile {
  /** `area/file`. */
  readonly id: string;
  /** Objects added to `base.yaml`; one of the same kind and name replaces it. */
  readonly objects: readonly KubeObject[];
  readonly cases: readonly BehaviourCase[];
}

export interface BehaviourCase {
  /** `area/file/name`. */
  readonly id: string;
  /** What backends do instead of answering 200, by backend name or `*`. */
  readonly backends: Readonly<Record<string, BackendScript | readonly BackendScript[]>>;
  readonly calls: readonly Call[];
  /** Growth of counters over the case: at least this much. The gateway's are asked when the first call goes there. */
  readonly stats: Readonly<Record<string, number>>;
  /** Clients that go on calling while {@link changes} are made. */
  readonly load?: readonly Load[];
  /** Changes of the mesh, one after another; the file's mesh comes back after the case. */
  readonly changes?: readonly Change[];
  /** How often all changes are made. Default 1. */
  readonly rounds?: number;
  /** Tell all that is seen, to compare data planes. */
  readonly compare?: boolean;
}

/** One client with one connection, calling without a break. */
export interface Load {
  /** Protocols: http1, http2, tcp, websocket. */
  readonly call: Omit<Call, 'expect'>;
  /** What every answer is. Default 200. */
  readonly status?: number | readonly number[];
  /**
   * `kept`: the same one from first to last. `renewed`: may be ended with a warning (Connection: close, GOAWAY) and made again. `ended`: is ended with a warning.
   * `refused`: is ended, and the listener is gone at the end. `fresh`: a new one for every request. Default `kept`.
   */
  readonly connection?: 'kept' | 'renewed' | 'ended' | 'refused' | 'fresh';
  /** Backends that each answered something. */
  readonly served?: readonly string[];
}

/** A change of the mesh under load. */
export interface Change {
  /** Objects to add or replace, as YAML. */
  readonly put?: string;
  /** Objects to take away: `Kind name` or `Kind namespace/name`; those of the base too. */
  readonly remove?: readonly string[];
  /** Go on without waiting until the proxies have taken it. */
  readonly unsettled?: boolean;
  /** Wait after the change. Default 40. */
  readonly waitMs?: number;
}

export interface BackendScript {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Of gRPC answers the message in hex. */
  readonly body?: string;
  readonly delayMs?: number;
  /** Ends the connection instead of answering: `close` after the request (of an upgraded connection: after the first message), `reset` with RST, `midway` after half of the body, `stream` resets only the HTTP/2 stream. */
  readonly end?: 'close' | 'reset' | 'midway' | 'stream';
  readonly grpcStatus?: number;
  readonly trailers?: Readonly<Record<string, string>>;
  /** Bytes written as they are instead of an answer. */
  readonly raw?: string;
  /** Answers the head at once and sends the body back as it comes. */
  readonly echo?: boolean;
  /** How many requests this step of a list is for. Default: all that follow. */
  readonly times?: number;
}

export interface TlsOptions {
  readonly sni?: string;
  readonly alpn?: readonly string[];
  /** Show a workload certificate of the mesh. */
  readonly mesh?: boolean;
  /**
   * Whose, `namespace/account`. Default `other/peer`. `other/stranger` is of a CA nobody knows, `other/expired` is too old, `other/early` not valid yet, `other/foreign` of another trust domain under the
   * mesh's own root, `other/nameless` carries a DNS name instead of an identity.
   */
  readonly as?: string;
  /** Newest version of TLS the client speaks, below 1.2 with the old ciphers. */
  readonly maxVersion?: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2';
}

export interface Call {
  /** `reviews`, `reviews:9000` (a service of the base), or `1.2.3.4:80`; outbound through the sidecar. */
  readonly to?: string;
  /** Port of the sidecar's own workload, called from another pod. */
  readonly inbound?: number;
  /** Port of the gateway pod. */
  readonly gateway?: number;
  /** Source address. */
  readonly from?: string;
  /** `websocket2` is a WebSocket by extended CONNECT, `connect2` a plain CONNECT to `host`, both over HTTP/2. */
  readonly protocol?: 'http1' | 'http2' | 'grpc' | 'tcp' | 'raw' | 'websocket' | 'websocket2' | 'connect2';
  readonly method?: string;
  readonly path?: string;
  /** Host header; default the service's name as written in `to`. '' = none. */
  readonly host?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string;
  /** Bytes to send (tcp, raw, websocket). */
  readonly send?: string;
  /** Close our side after sending (tcp). */
  readonly halfClose?: boolean;
  /** Read until the server ends instead of until its first bytes (websocket, websocket2, connect2). */
  readonly untilEnd?: boolean;
  readonly tls?: TlsOptions;
  readonly repeat?: number;
  /** Repeats at once instead of one after another. */
  readonly parallel?: boolean;
  /** Repeats on one connection (http1). */
  readonly keepAlive?: boolean;
  /** Wait before the call. */
  readonly afterMs?: number;
  readonly expect: Expectation;
}

/** `text` must be equal; `/…/` is a regular expression; null = absent. */
export type TextMatch = string | number | null;

export interface Expectation {
  readonly status?: number | readonly number[];
  readonly body?: TextMatch;
  readonly headers?: Readonly<Record<string, TextMatch>>;
  readonly trailers?: Readonly<Record<string, TextMatch>>;
  readonly grpcStatus?: number;
  /** Every answered request came to this backend (or one of these). */
  readonly backend?: string | readonly string[];
  /** Requests at backends, by name: a count or [least, most]. Those not named got none. */
  readonly counts?: Readonly<Record<string, number | readonly [number, number]>>;
  /** How statuses spread over the repeats: a count or [least, most]. */
  readonly statuses?: Readonly<Record<string, number | readonly [number, number]>>;
  /** What the (last) backend saw. */
  readonly received?: {
    readonly method?: TextMatch; readonly path?: TextMatch; readonly authority?: TextMatch; readonly version?: TextMatch; readonly body?: TextMatch;
    readonly headers?: Readonly<Record<string, TextMatch>>; readonly client?: TextMatch; readonly alpn?: TextMatch; readonly sni?: TextMatch;
  };
  /** Cluster chosen: asked in process, and of the access log. */
  readonly cluster?: string;
  readonly routeName?: string;
  readonly flags?: string;
  readonly details?: TextMatch;
  readonly log?: Readonly<Record<string, TextMatch>>;
  readonly durationMs?: readonly [number, number];
  /** The connection ended without an answer. */
  readonly closed?: boolean;
  /** The same backend for all repeats. */
  readonly sticky?: boolean;
  /** Subject alternative names of the server's certificate. */
  readonly certificate?: TextMatch;
  readonly alpn?: TextMatch;
}

/** What was seen of one call. */
export interface Seen {
  readonly status?: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  readonly trailers: ReadonlyMap<string, string>;
  readonly closed: boolean;
  readonly durationMs: number;
  /** Epoch ms. */
  readonly startedAtMs: number;
  /** Local port of the client's socket: finds the line of the access log. */
  readonly localPort: number;
  readonly certificate?: string;
  readonly alpn?: string;
  readonly error?: string;
}

/** One request or connection that reached a backend. */
export interface ReceivedRequest {
  readonly backend: string;
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly version: string;
  readonly headers: ReadonlyMap<string, string>;
  body: string;
  /** Identity of the TLS client. */
  readonly client: string;
  readonly alpn: string;
  readonly sni: string;
}
