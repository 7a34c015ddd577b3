/** One proxy on one ADS stream: authenticated, flow-controlled, with its protocol state. */
import type { SpiffeId } from '../../identity/spiffe.ts';
import { HEALTH_TYPE_URL } from '../ads.ts';
import type { NodeInfo } from '../wire.ts';
import { GRPC_STATUS, type ServerCall } from './grpc-server.ts';
import { responseChunks } from './response-bytes.ts';
import { decodeSharedRequest } from './shared-request.ts';
import { DiscoverySession, type Command, type ResourceView, type TypeStatus } from './state-machine.ts';

/** What the outside may know of a connected proxy. */
export interface ConnectedClient {
  /** `<node id>-<number>`, unique for the life of the server. */
  readonly connectionId: string;
  readonly node: NodeInfo;
  readonly mode: 'sotw' | 'delta';
  /** Undefined on the plaintext port. */
  readonly spiffeId: SpiffeId | undefined;
  readonly peerAddress: string;
  readonly connectedAtMs: number;
  /** The view it was last pushed. */
  readonly view: ResourceView | undefined;
  status(): TypeStatus[];
}

/** What happens on the streams: for logs and metrics. */
export type AdsEvent =
  | { readonly kind: 'connected'; readonly client: ConnectedClient }
  | { readonly kind: 'disconnected'; readonly client: ConnectedClient }
  | { readonly kind: 'responded'; readonly client: ConnectedClient; readonly typeUrl: string; readonly resourceCount: number; readonly removedCount: number; readonly bytes: number; /** Making and sending it. */ readonly pushMs: number; /** Encoding it and handing it to the socket. */ readonly sendMs: number }
  | { readonly kind: 'acked'; readonly client: ConnectedClient; readonly typeUrl: string; readonly nonce: string }
  | { readonly kind: 'nacked'; readonly client: ConnectedClient; readonly typeUrl: string; readonly nonce: string; readonly message: string }
  /** The workload's agent checked it; `problem` is why it is not well. */
  | { readonly kind: 'health'; readonly client: ConnectedClient; readonly problem: string | undefined }
  | { readonly kind: 'expired-nonce'; readonly client: ConnectedClient; readonly typeUrl: string }
  /** A view could not be made: the client keeps what it has. */
  | { readonly kind: 'view-failed'; readonly client: ConnectedClient; readonly error: unknown }
  | { readonly kind: 'refused'; readonly peerAddress: string; readonly message: string };

export interface ConnectionOptions {
  readonly mode: 'sotw' | 'delta';
  readonly spiffeId: SpiffeId | undefined;
  readonly connectedAtMs: number;
  readonly nextConnectionNumber: () => number;
  readonly nextNonce: () => string;
  /** Why this node may not be served, or undefined. */
  readonly checkNode: (node: NodeInfo) => string | undefined;
  readonly viewFor: (client: ConnectedClient) => ResourceView;
  readonly onEvent: (event: AdsEvent) => void;
}

export class Connection implements ConnectedClient {
  connectionId = '';
  view: ResourceView | undefined;
  private introduced: NodeInfo | undefined;
  private readonly session: DiscoverySession;
  private blocked = false;
  private stale = false;
  private closed = false;

  constructor(
    private readonly call: ServerCall,
    private readonly options: ConnectionOptions,
  ) {
    this.session = new DiscoverySession(options.mode, options.nextNonce);
    call.onDrain(() => this.unblock());
  }

  get node(): NodeInfo {
    return this.introduced!;
  }

  get mode(): 'sotw' | 'delta' {
    return this.options.mode;
  }

  get spiffeId(): SpiffeId | undefined {
    return this.options.spiffeId;
  }

  get peerAddress(): string {
    return this.call.peerAddress;
  }

  get connectedAtMs(): number {
    return this.options.connectedAtMs;
  }

  /** True after the first request was accepted. */
  get isReady(): boolean {
    return this.introduced !== undefined;
  }

  status(): TypeStatus[] {
    return this.session.status();
  }

  /** Handles one message of the client. */
  receive(bytes: Buffer): void {
    if (this.closed) return;
    const startedAt = performance.now();
    let request;
    try {
      request = decodeSharedRequest(this.mode, bytes);
    } catch (error) {
      return this.end(GRPC_STATUS.invalidArgument, `not a discovery request: ${String(error)}`);
    }
    if (!this.introduced && !this.introduce(request.node)) return;
    if (request.typeUrl === HEALTH_TYPE_URL) return this.options.onEvent({ kind: 'health', client: this, problem: request.error });
    const { typeUrl, responseNonce, error, names, unsubscribe, initialVersions } = request;
    const refusal = error === undefined ? {} : { error };
    this.run(
      this.session.request(
        this.mode === 'sotw' ? { kind: 'sotw', typeUrl, names, responseNonce, ...refusal } : { kind: 'delta', typeUrl, subscribe: names, unsubscribe, initialVersions, responseNonce, ...refusal },
      ),
      startedAt,
    );
  }

  /** Brings the client to the newest view. While its socket is full it waits; what comes meanwhile is merged. */
  push(): void {
    if (this.closed || !this.isReady) return;
    if (this.blocked) {
      this.stale = true;
      return;
    }
    const startedAt = performance.now();
    try {
      this.view = this.options.viewFor(this);
    } catch (error) {
      this.options.onEvent({ kind: 'view-failed', client: this, error });
      if (!this.view) return;
    }
    this.run(this.session.setView(this.view), startedAt);
  }

  /** Called once when the stream is over. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    if (this.isReady) this.options.onEvent({ kind: 'disconnected', client: this });
  }

  private introduce(node: NodeInfo | undefined): boolean {
    const problem = node?.id ? this.options.checkNode(node) : 'the first request must carry a node with an id';
    if (problem !== undefined || !node) {
      this.end(node?.id ? GRPC_STATUS.permissionDenied : GRPC_STATUS.invalidArgument, problem ?? 'no node');
      return false;
    }
    this.introduced = node;
    this.connectionId = `${node.id}-${this.options.nextConnectionNumber()}`;
    this.options.onEvent({ kind: 'connected', client: this });
    this.push();
    return !this.closed;
  }

  private run(commands: readonly Command[], startedAt: number): void {
    let from = startedAt;
    for (const command of commands) {
      if (command.kind === 'refuse') return this.end(GRPC_STATUS.invalidArgument, command.message);
      if (command.kind !== 'respond') {
        this.options.onEvent({ ...command, client: this });
        continue;
      }
      const sendFrom = performance.now();
      const chunks = responseChunks(this.mode, command);
      const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
      if (!this.call.send(...chunks)) this.blocked = true;
      const now = performance.now();
      this.options.onEvent({ kind: 'responded', client: this, typeUrl: command.typeUrl, resourceCount: command.resources.length, removedCount: command.removed.length, bytes, pushMs: now - from, sendMs: now - sendFrom });
      from = now;
    }
  }

  private unblock(): void {
    this.blocked = false;
    if (!this.stale) return;
    this.stale = false;
    this.push();
  }

  private end(code: number, message: string): void {
    this.options.onEvent({ kind: 'refused', peerAddress: this.peerAddress, message });
    this.close();
    this.call.end(code, message);
  }
}
