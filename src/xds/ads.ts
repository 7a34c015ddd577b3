/** xDS type URLs by Envoy's and Istio's short names. */
export const TYPE_URL = {
  cluster: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
  endpoint: 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
  listener: 'type.googleapis.com/envoy.config.listener.v3.Listener',
  route: 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
  secret: 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
  extensionConfig: 'type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig',
  nameTable: 'type.googleapis.com/istio.networking.nds.v1.NameTable',
} as const;

/** What an agent says of its workload's health: a request without answer; with an error the workload is not well. @see features.md §2.6 */
export const HEALTH_TYPE_URL = 'type.googleapis.com/istio.v1.HealthInformation';

export type TypeUrl = (typeof TYPE_URL)[keyof typeof TYPE_URL];

/** One xDS resource with its bytes: encoded once, shared by every proxy that gets it. */
export interface EncodedResource {
  readonly name: string;
  readonly typeUrl: string;
  /** Protobuf bytes of the resource (the value of its Any). */
  readonly value: Uint8Array;
  /** Content hash; equal versions mean equal bytes. */
  readonly version: string;
}

/** What a subscriber is told: resources that are new or changed, names that are gone. For wildcard SotW responses the client works out `removed` itself. */
export interface ResourceUpdate {
  readonly updated: readonly EncodedResource[];
  readonly removed: readonly string[];
}

/** Refuses an update: the text becomes the NACK's error_detail. Returning undefined ACKs. */
export type UpdateHandler = (update: ResourceUpdate) => string | undefined;

/** A proxy's side of one ADS stream, reconnecting for ever; subscriptions survive reconnects. */
export interface AdsClient {
  /** Wildcard subscription (CDS, LDS, NDS). */
  subscribeAll(typeUrl: string, onUpdate: UpdateHandler): void;
  /** Named subscription (EDS, RDS, SDS); calling `setNames` again changes the names on the wire. */
  subscribe(typeUrl: string, onUpdate: UpdateHandler): { setNames(names: ReadonlySet<string>): void };
  readonly connected: boolean;
  close(): void;
}

/** A client that can also tell. */
export interface ReportingAdsClient extends AdsClient {
  /** Tells the server something, now and on every new stream; the newest of a type counts. `error` is what is wrong. */
  report(typeUrl: string, error: string | undefined): void;
}
