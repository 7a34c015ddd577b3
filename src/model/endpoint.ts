export interface Locality {
  readonly region: string;
  readonly zone: string;
  readonly subZone: string;
}

export const NO_LOCALITY: Locality = { region: '', zone: '', subZone: '' };

/** Who a workload is, for telemetry: Istio's `istio.workload` metadata. */
export interface WorkloadIdentity {
  readonly name: string;
  readonly namespace: string;
  readonly canonicalName: string;
  readonly canonicalRevision: string;
  readonly cluster: string;
}

/** One address of one service port. */
export interface Endpoint {
  /** IP, host name (ServiceEntry with DNS) or `unix://path`. */
  readonly address: string;
  readonly port: number;
  /** Name of the service port it belongs to. */
  readonly portName: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly locality: Locality;
  /** `unhealthy`: known and not used. `draining`: only old sessions are kept. `terminating`: nobody is told of it any more. */
  readonly health: 'healthy' | 'unhealthy' | 'draining' | 'terminating';
  /** 0 = unset (counts as 1). */
  readonly weight: number;
  /** `spiffe://…`, or '' when unknown. */
  readonly serviceAccount: string;
  /** `istio` = the server's sidecar takes mTLS; label `security.istio.io/tlsMode`. */
  readonly tlsMode: 'istio' | 'disabled';
  readonly workload: WorkloadIdentity | undefined;
  /** Pod host name of headless services (`web-0`), '' when none. */
  readonly hostname: string;
  readonly network: string;
}
