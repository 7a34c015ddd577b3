import type { Protocol } from './protocol.ts';
import type { ConnectionPool } from './destination-rule.ts';
import type { ServerTls } from './gateway.ts';
import type { OutboundPolicy } from './mesh.ts';

export interface EgressListener {
  /** Undefined = all ports. */
  readonly port: { readonly number: number; readonly protocol: Protocol; readonly name: string } | undefined;
  /** Address the application connects to on purpose; '' = traffic is redirected to us, or the loopback without redirection. */
  readonly bind: string;
  /** Nothing redirects traffic to this listener: it must be opened itself. */
  readonly opened: boolean;
  /** `ns/host` with `*` and `.` resolved; `exclude` = `~ns/host`. */
  readonly hosts: readonly { readonly namespace: string; readonly host: string; readonly exclude: boolean }[];
}

export interface IngressListener {
  readonly port: { readonly number: number; readonly protocol: Protocol; readonly name: string };
  readonly bind: string;
  /** `127.0.0.1:8080`, `unix:///path`, or '' (original destination). */
  readonly defaultEndpoint: string;
  readonly tls: ServerTls | undefined;
  readonly connectionPool: ConnectionPool | undefined;
}

export interface Sidecar {
  readonly kind: 'sidecar';
  readonly name: string;
  readonly namespace: string;
  /** Undefined = every workload of the namespace (of the mesh, in the root namespace). */
  readonly selector: Readonly<Record<string, string>> | undefined;
  /** Empty = everything is visible. */
  readonly egress: readonly EgressListener[];
  /** Empty = derived from services. */
  readonly ingress: readonly IngressListener[];
  readonly inboundConnectionPool: ConnectionPool | undefined;
  /** Undefined = the mesh's. */
  readonly outboundPolicy: OutboundPolicy | undefined;
  readonly createdMs: number;
  readonly origin: string;
  readonly digest: string;
}
