/** The control plane's gRPC server: aggregated discovery (SotW and delta) and the certificate service, in plaintext and over TLS. */
import { parseSpiffeId, type SpiffeId } from '../../identity/spiffe.ts';
import { ADS_PATH, type NodeInfo } from '../wire.ts';
import { nodeMismatch, type AuthenticationResult, type CallerCredentials } from './authenticate.ts';
import { CREATE_CERTIFICATE_PATH, serveCertificate, type CertificateServiceOptions } from './certificate-service.ts';
import { Connection, type AdsEvent, type ConnectedClient } from './connection.ts';
import { credentialsOf } from './credentials-of.ts';
import { GRPC_STATUS, GrpcServer, type CallHandler, type Methods, type ServerCall, type ServerIdentity } from './grpc-server.ts';
import type { ResourceView } from './state-machine.ts';

export interface AdsServerOptions {
  /** Makes what a proxy may have now. Called on connect and on every push that concerns it; a throw leaves the proxy with what it has. */
  readonly viewFor: (client: ConnectedClient) => ResourceView;
  /** Refuses a node the source cannot serve (a sentence), before anything else of it is used. */
  readonly checkNode?: (node: NodeInfo) => string | undefined;
  readonly authenticate: (credentials: CallerCredentials) => Promise<AuthenticationResult>;
  /** Serves certificates on the TLS port. */
  readonly certificates?: CertificateServiceOptions;
  readonly now: () => number;
  readonly onEvent: (event: AdsEvent) => void;
}

export interface AdsServer {
  /** Plaintext discovery: whoever can reach the address gets any proxy's configuration. Resolves to the port. */
  listenPlaintext(address: string): Promise<number>;
  /** Discovery and certificates over TLS; callers prove who they are. Resolves to the port. */
  listenTls(address: string, identity: ServerIdentity): Promise<number>;
  /** Replaces the TLS certificate for new connections. */
  rotate(identity: ServerIdentity): void;
  /** Brings proxies to the newest view: all, or those `concerns` names. Works through them without holding up requests. */
  push(concerns?: (client: ConnectedClient) => boolean): void;
  clients(): readonly ConnectedClient[];
  /** Ends every stream. */
  close(): void;
}

/** A caller whose identity is still being proved may have said this much. */
const MAX_EARLY_MESSAGES = 64;

/** How long pushes may keep the event loop before other work gets a turn. */
const PUSH_SLICE_MS = 10;

/** Makes a server; it serves nothing until a `listen…` is called. */
export function createAdsServer(options: AdsServerOptions): AdsServer {
  return new GrpcAdsServer(options);
}

class GrpcAdsServer implements AdsServer {
  private readonly connections = new Set<Connection>();
  private readonly plaintext: GrpcServer;
  private readonly secure: GrpcServer;
  private connectionNumber = 0;
  private nonceNumber = 0;
  private readonly queue = new Set<Connection>();
  private draining = false;

  constructor(private readonly options: AdsServerOptions) {
    const discovery = (isSecure: boolean): [string, (call: ServerCall) => CallHandler][] =>
      (['sotw', 'delta'] as const).map((mode) => [ADS_PATH[mode], (call) => this.accept(call, mode, isSecure)]);
    const { certificates } = options;
    const issuing: Methods = new Map(certificates ? [[CREATE_CERTIFICATE_PATH, (call) => serveCertificate(call, certificates)]] : []);
    this.plaintext = new GrpcServer(new Map(discovery(false)));
    this.secure = new GrpcServer(new Map([...discovery(true), ...issuing]));
  }

  listenPlaintext(address: string): Promise<number> {
    return this.plaintext.listen(address);
  }

  listenTls(address: string, identity: ServerIdentity): Promise<number> {
    return this.secure.listen(address, identity);
  }

  rotate(identity: ServerIdentity): void {
    this.secure.rotate(identity);
  }

  push(concerns?: (client: ConnectedClient) => boolean): void {
    for (const connection of this.connections) if (connection.isReady && (!concerns || concerns(connection))) this.queue.add(connection);
    if (!this.draining) this.drainQueue();
  }

  clients(): readonly ConnectedClient[] {
    return [...this.connections].filter((connection) => connection.isReady);
  }

  close(): void {
    this.plaintext.close();
    this.secure.close();
  }

  /** Serves one stream. What the client says before it is known waits. */
  private accept(call: ServerCall, mode: 'sotw' | 'delta', isSecure: boolean): CallHandler {
    let connection: Connection | undefined;
    let isOver = false;
    const early: Buffer[] = [];
    const begin = (spiffeId: SpiffeId | undefined) => {
      connection = new Connection(call, this.connectionOptions(mode, spiffeId));
      this.connections.add(connection);
      for (const message of early.splice(0)) connection.receive(message);
    };
    if (isSecure) void this.prove(call).then((spiffeId) => void (spiffeId && !isOver && begin(spiffeId)));
    else begin(undefined);
    return {
      onMessage(message) {
        if (connection) connection.receive(message);
        else if (early.length < MAX_EARLY_MESSAGES) early.push(message);
        else call.end(GRPC_STATUS.resourceExhausted, 'too many requests before authentication');
      },
      onFinish: () => call.end(GRPC_STATUS.ok),
      onClose: () => {
        isOver = true;
        if (!connection) return;
        this.connections.delete(connection);
        this.queue.delete(connection);
        connection.close();
      },
    };
  }

  /** Ends the call of a caller who cannot prove an identity. */
  private async prove(call: ServerCall): Promise<SpiffeId | undefined> {
    const result = await this.options.authenticate(credentialsOf(call));
    if ('spiffeId' in result) return result.spiffeId;
    this.options.onEvent({ kind: 'refused', peerAddress: call.peerAddress, message: result.failure });
    call.end(GRPC_STATUS.unauthenticated, `authentication failure: ${result.failure}`);
    return undefined;
  }

  private connectionOptions(mode: 'sotw' | 'delta', spiffeId: SpiffeId | undefined) {
    const { options } = this;
    return {
      mode,
      spiffeId,
      connectedAtMs: options.now(),
      nextConnectionNumber: () => ++this.connectionNumber,
      nextNonce: () => `${options.now().toString(36)}-${++this.nonceNumber}`,
      checkNode: (node: NodeInfo) => (spiffeId && parseSpiffeId(spiffeId) ? nodeMismatch(node, spiffeId) : undefined) ?? options.checkNode?.(node),
      viewFor: options.viewFor,
      onEvent: options.onEvent,
    };
  }

  private drainQueue(): void {
    const until = this.options.now() + PUSH_SLICE_MS;
    for (const connection of this.queue) {
      this.queue.delete(connection);
      connection.push();
      if (this.options.now() >= until) break;
    }
    this.draining = this.queue.size > 0;
    if (this.draining) setImmediate(() => this.drainQueue());
  }
}
