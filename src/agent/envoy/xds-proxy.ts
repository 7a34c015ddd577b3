// Envoy's way to the control plane: its ADS stream goes through the agent, which proves who we are and keeps the name table for itself.
import { createLogger } from '../../base/log.ts';
import { TYPE_URL, type UpdateHandler } from '../../xds/ads.ts';
import { authorizationHeaders } from '../../xds/client/ads-client.ts';
import { GrpcChannel, type GrpcCall } from '../../xds/client/grpc-channel.ts';
import { ADS_PATH, decodeRequest, decodeResponse, encodeRequest, reportRequest } from '../../xds/wire.ts';
import { channelOptions, type ControlPlaneConnection } from '../certificates/ca-client.ts';
import { serveGrpcSocket, type CallHandler, type SocketCall } from './grpc-socket-server.ts';

const log = createLogger('xdsproxy');

export interface XdsProxyOptions {
  readonly controlPlane: ControlPlaneConnection;
  /** Gets the name table; undefined does not ask for it. */
  readonly onNameTable: UpdateHandler | undefined;
  readonly onEvent: (event: 'connected' | 'disconnected' | 'request' | 'response') => void;
}

/** Serves ADS (both protocols) at `path`, each stream forwarded on a connection of its own. */
export async function openXdsProxy(path: string, options: XdsProxyOptions): Promise<XdsProxy> {
  const streams = new Set<ForwardedStream>();
  const reports = new Map<string, string | undefined>();
  const open = (mode: 'sotw' | 'delta') => (call: SocketCall): CallHandler => {
    const stream = new ForwardedStream(mode, call, { ...options, reports, onOver: () => void streams.delete(stream) });
    streams.add(stream);
    return stream;
  };
  const server = await serveGrpcSocket(path, new Map([[ADS_PATH.sotw, open('sotw')], [ADS_PATH.delta, open('delta')]]));
  return {
    close: () => server.close(),
    report(typeUrl, error) {
      reports.set(typeUrl, error);
      for (const stream of streams) stream.report(typeUrl, error);
    },
  };
}

export interface XdsProxy {
  /** Tells the control plane something on every stream, also on those to come. */
  report(typeUrl: string, error: string | undefined): void;
  close(): void;
}

interface StreamOptions extends XdsProxyOptions {
  readonly reports: ReadonlyMap<string, string | undefined>;
  readonly onOver: () => void;
}

class ForwardedStream implements CallHandler {
  private upstream: GrpcCall | undefined;
  private channel: GrpcChannel | undefined;
  private waiting: Buffer[] = [];
  private closed = false;
  private introduced = false;

  constructor(private readonly mode: 'sotw' | 'delta', private readonly downstream: SocketCall, private readonly options: StreamOptions) {
    void this.connect();
  }

  onMessage(message: Buffer): void {
    this.options.onEvent('request');
    if (!this.upstream) {
      // The first message carries the node: nothing may overtake it.
      this.waiting.push(Buffer.from(message));
      return;
    }
    this.forward(message);
  }

  /** Says it once the control plane knows who speaks. */
  report(typeUrl: string, error: string | undefined): void {
    if (this.introduced) this.upstream?.send(encodeRequest(this.mode, reportRequest(typeUrl, error)));
  }

  onEnd(): void {
    this.closed = true;
    this.options.onOver();
    this.upstream?.finish();
    this.channel?.close();
  }

  private async connect(): Promise<void> {
    const { controlPlane } = this.options;
    const channelOf = channelOptions(controlPlane);
    try {
      const headers = await authorizationHeaders({ ...channelOf, tokenPath: controlPlane.tokenPath });
      if (this.closed) return;
      this.channel = new GrpcChannel(channelOf);
      const upstream = this.channel.call(ADS_PATH[this.mode], headers, {
        onMessage: (message) => this.fromControlPlane(message),
        onEnd: (error) => this.lost(error?.message ?? 'the control plane closed the stream'),
      });
      this.upstream = upstream;
      this.options.onEvent('connected');
      for (const message of this.waiting) this.forward(message);
      this.waiting = [];
    } catch (thrown) {
      this.lost(thrown instanceof Error ? thrown.message : String(thrown));
    }
  }

  /** Ending our stream makes Envoy try again, with its own back-off. */
  private lost(reason: string): void {
    if (this.closed) return;
    this.closed = true;
    this.options.onOver();
    log.warn('stream to the control plane ended', { reason });
    this.options.onEvent('disconnected');
    this.channel?.close();
    this.downstream.end(14, reason);
  }

  private forward(message: Buffer): void {
    this.upstream?.send(message);
    if (this.introduced || !this.hasNode(message)) return;
    this.introduced = true;
    for (const [typeUrl, error] of this.options.reports) this.report(typeUrl, error);
    if (!this.options.onNameTable) return;
    this.upstream?.send(encodeRequest(this.mode, { typeUrl: TYPE_URL.nameTable, responseNonce: '', versionInfo: '', names: [], unsubscribe: [], initialVersions: new Map() }));
  }

  private hasNode(message: Buffer): boolean {
    try {
      return decodeRequest(this.mode, message).node !== undefined;
    } catch {
      return false;
    }
  }

  private fromControlPlane(message: Buffer): void {
    if (this.closed) return;
    this.options.onEvent('response');
    // Only the name table is ours; a search for its type name is cheaper than reading every configuration twice.
    if (this.options.onNameTable && message.subarray(0, 512).includes(TYPE_URL.nameTable) && this.keepNameTable(message)) return;
    this.downstream.send(message);
  }

  private keepNameTable(message: Buffer): boolean {
    const response = decodeResponse(this.mode, message, () => '');
    if (response.typeUrl !== TYPE_URL.nameTable) return false;
    const error = this.options.onNameTable?.({ updated: response.resources, removed: response.removed });
    this.upstream?.send(encodeRequest(this.mode, { typeUrl: response.typeUrl, responseNonce: response.nonce, versionInfo: response.version, names: [], unsubscribe: [], initialVersions: new Map(), ...(error === undefined ? {} : { error }) }));
    return true;
  }
}
