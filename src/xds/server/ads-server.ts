/** The control plane's gRPC server: aggregated discovery (SotW and delta) and the certificate service, in plaintext and over TLS. */
import { Server, ServerCredentials, status, type ServerDuplexStream, type ServiceDefinition } from '@grpc/grpc-js';
import { parseSpiffeId, type SpiffeId } from '../../identity/spiffe.ts';
import { ADS_PATH, type NodeInfo } from '../wire.ts';
import { nodeMismatch, type AuthenticationResult, type CallerCredentials } from './authenticate.ts';
import { CERTIFICATE_SERVICE, certificateService, type CertificateServiceOptions } from './certificate-service.ts';
import { Connection, type AdsEvent, type ConnectedClient } from './connection.ts';
import { credentialsOf } from './credentials-of.ts';
import type { ResourceView } from './state-machine.ts';
import { RotatingServerCredentials, type ServerIdentity } from './tls-credentials.ts';

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

type AdsStream = ServerDuplexStream<Buffer, Buffer>;

const bytes = (value: Buffer): Buffer => value;
const method = (path: string) => ({ path, requestStream: true, responseStream: true, requestSerialize: bytes, requestDeserialize: bytes, responseSerialize: bytes, responseDeserialize: bytes });

const ADS_SERVICE: ServiceDefinition = { StreamAggregatedResources: method(ADS_PATH.sotw), DeltaAggregatedResources: method(ADS_PATH.delta) };

/** As istiod: requests up to 4 MiB; dead peers are noticed after 40 s. */
const SERVER_OPTIONS = { 'grpc.max_receive_message_length': 4 * 1024 * 1024, 'grpc.max_send_message_length': -1, 'grpc.max_concurrent_streams': 100_000, 'grpc.keepalive_time_ms': 30_000, 'grpc.keepalive_timeout_ms': 10_000 };

/** How long pushes may keep the event loop before other work gets a turn. */
const PUSH_SLICE_MS = 10;

/** Makes a server; it serves nothing until a `listen…` is called. */
export function createAdsServer(options: AdsServerOptions): AdsServer {
  return new GrpcAdsServer(options);
}

class GrpcAdsServer implements AdsServer {
  private readonly connections = new Set<Connection>();
  private readonly servers: Server[] = [];
  private credentials: RotatingServerCredentials | undefined;
  private connectionNumber = 0;
  private nonceNumber = 0;
  private readonly queue = new Set<Connection>();
  private draining = false;

  constructor(private readonly options: AdsServerOptions) {}

  listenPlaintext(address: string): Promise<number> {
    return this.listen(address, ServerCredentials.createInsecure(), false);
  }

  listenTls(address: string, identity: ServerIdentity): Promise<number> {
    this.credentials = new RotatingServerCredentials(identity);
    return this.listen(address, this.credentials, true);
  }

  rotate(identity: ServerIdentity): void {
    this.credentials?.rotate(identity);
  }

  push(concerns?: (client: ConnectedClient) => boolean): void {
    for (const connection of this.connections) if (connection.isReady && (!concerns || concerns(connection))) this.queue.add(connection);
    if (!this.draining) this.drainQueue();
  }

  clients(): readonly ConnectedClient[] {
    return [...this.connections].filter((connection) => connection.isReady);
  }

  close(): void {
    for (const server of this.servers) server.forceShutdown();
  }

  private async listen(address: string, credentials: ServerCredentials, secure: boolean): Promise<number> {
    const server = new Server(SERVER_OPTIONS);
    const serve = (mode: 'sotw' | 'delta') => (stream: AdsStream) => void this.accept(stream, mode, secure);
    server.addService(ADS_SERVICE, { StreamAggregatedResources: serve('sotw'), DeltaAggregatedResources: serve('delta') });
    if (secure && this.options.certificates) server.addService(CERTIFICATE_SERVICE, certificateService(this.options.certificates));
    this.servers.push(server);
    return new Promise((resolve, reject) => server.bindAsync(address, credentials, (error, port) => (error ? reject(error) : resolve(port))));
  }

  private async accept(stream: AdsStream, mode: 'sotw' | 'delta', secure: boolean): Promise<void> {
    // Without a listener an 'error' (a reset, a broken socket) would end the process.
    stream.on('error', () => {});
    const fail = (code: status, details: string) => void stream.emit('error', { code, details });
    let spiffeId: SpiffeId | undefined;
    if (secure) {
      const result = await this.options.authenticate(credentialsOf(stream));
      if ('failure' in result) {
        this.options.onEvent({ kind: 'refused', peerAddress: stream.getPeer(), message: result.failure });
        return fail(status.UNAUTHENTICATED, `authentication failure: ${result.failure}`);
      }
      spiffeId = result.spiffeId;
    }
    if (stream.cancelled) return;
    const connection = new Connection(stream, this.connectionOptions(mode, spiffeId), (code, message) => {
      this.connections.delete(connection);
      fail(code === 'invalid-argument' ? status.INVALID_ARGUMENT : status.PERMISSION_DENIED, message);
    });
    this.connections.add(connection);
    const over = () => {
      this.connections.delete(connection);
      this.queue.delete(connection);
      connection.close();
    };
    stream.on('data', (message: Buffer) => connection.receive(message));
    stream.on('end', () => {
      over();
      stream.end();
    });
    for (const event of ['cancelled', 'close', 'error']) stream.on(event, over);
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
