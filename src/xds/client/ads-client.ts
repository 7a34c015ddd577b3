/** A proxy's ADS client: one stream, reconnecting for ever. */
import { readFile } from 'node:fs/promises';
import { Backoff } from '../../base/backoff.ts';
import { systemClock, type Clock, type Timer } from '../../base/clock.ts';
import type { ReportingAdsClient, UpdateHandler } from '../ads.ts';
import { nameInBytes } from '../codec.ts';
import { ADS_PATH, decodeResponse, encodeRequest, reportRequest, type NodeInfo, type OutgoingRequest } from '../wire.ts';
import { GrpcChannel, type GrpcCall, type GrpcChannelOptions } from './grpc-channel.ts';
import { Subscriptions } from './subscriptions.ts';

/** What happens to the stream: for logs and metrics. */
export type AdsClientEvent =
  | { readonly kind: 'connecting' }
  /** The first response of a stream has arrived. */
  | { readonly kind: 'connected' }
  | { readonly kind: 'disconnected'; readonly reason: string; readonly retryInMs: number }
  | { readonly kind: 'accepted' | 'refused'; readonly typeUrl: string; readonly resourceCount: number; readonly message?: string };

export interface AdsClientOptions extends GrpcChannelOptions {
  readonly node: NodeInfo;
  /** Default `delta`. */
  readonly mode?: 'delta' | 'sotw';
  /** File with the bearer token; read again on every connect, because Kubernetes rotates it. Sent over TLS only. */
  readonly tokenPath?: string;
  readonly onEvent?: (event: AdsClientEvent) => void;
  readonly clock?: Clock;
  /** Delays between attempts. Default 250 ms growing to 10 s. */
  readonly backoff?: Backoff;
}

/** Connects at once and stays connected until `close`. Subscriptions may be made before and after the stream is up. */
export function createAdsClient(options: AdsClientOptions): ReportingAdsClient {
  return new StreamingAdsClient(options);
}

class StreamingAdsClient implements ReportingAdsClient {
  private readonly mode: 'delta' | 'sotw';
  private readonly subscriptions: Subscriptions;
  private readonly backoff: Backoff;
  private channel: GrpcChannel | undefined;
  private retry: Timer | undefined;
  private isConnected = false;
  private isClosed = false;
  private readonly reports = new Map<string, string | undefined>();
  /** Says a report on the stream there is. */
  private tell: ((typeUrl: string, error: string | undefined) => void) | undefined;

  constructor(private readonly options: AdsClientOptions) {
    this.mode = options.mode ?? 'delta';
    this.subscriptions = new Subscriptions(this.mode);
    this.backoff = options.backoff ?? new Backoff({ baseMs: 250, maxMs: 10_000 });
    void this.connect();
  }

  get connected(): boolean {
    return this.isConnected;
  }

  subscribeAll(typeUrl: string, onUpdate: UpdateHandler): void {
    this.subscriptions.subscribeAll(typeUrl, onUpdate);
  }

  subscribe(typeUrl: string, onUpdate: UpdateHandler): { setNames(names: ReadonlySet<string>): void } {
    return this.subscriptions.subscribe(typeUrl, onUpdate);
  }

  report(typeUrl: string, error: string | undefined): void {
    this.reports.set(typeUrl, error);
    this.tell?.(typeUrl, error);
  }

  close(): void {
    this.isClosed = true;
    this.isConnected = false;
    this.retry?.cancel();
    this.subscriptions.disconnected();
    this.channel?.close();
  }

  private async connect(): Promise<void> {
    this.options.onEvent?.({ kind: 'connecting' });
    let headers;
    try {
      headers = await authorizationHeaders(this.options);
    } catch (error) {
      return this.lost(`token: ${error instanceof Error ? error.message : String(error)}`);
    }
    if (this.isClosed) return;
    const channel = new GrpcChannel(this.options);
    this.channel = channel;
    let introduced = false;
    const call: GrpcCall = channel.call(ADS_PATH[this.mode], headers, {
      onMessage: (message) => this.receive(message, call),
      onEnd: (error) => {
        channel.close();
        if (!this.isClosed) this.lost(error ? error.message : 'the server closed the stream');
      },
    });
    const send = (request: OutgoingRequest): void => {
      call.send(encodeRequest(this.mode, introduced ? request : { ...request, node: this.options.node }));
      introduced = true;
    };
    this.subscriptions.connected(send);
    this.tell = (typeUrl, error) => send(reportRequest(typeUrl, error));
    for (const [typeUrl, error] of this.reports) this.tell(typeUrl, error);
  }

  private receive(message: Buffer, call: GrpcCall): void {
    if (this.isClosed) return;
    let response;
    try {
      response = decodeResponse(this.mode, message, nameInBytes);
    } catch (error) {
      this.options.onEvent?.({ kind: 'refused', typeUrl: '', resourceCount: 0, message: `unreadable response: ${String(error)}` });
      return call.cancel();
    }
    if (!this.isConnected) {
      this.isConnected = true;
      this.backoff.reset();
      this.options.onEvent?.({ kind: 'connected' });
    }
    const outcome = this.subscriptions.response(response);
    if (!outcome) return;
    const { typeUrl, refused } = outcome;
    this.options.onEvent?.({ kind: refused === undefined ? 'accepted' : 'refused', typeUrl, resourceCount: response.resources.length, ...(refused !== undefined && { message: refused }) });
  }

  private lost(reason: string): void {
    if (this.isClosed) return;
    this.isConnected = false;
    this.tell = undefined;
    this.subscriptions.disconnected();
    const retryInMs = Math.round(this.backoff.next());
    this.options.onEvent?.({ kind: 'disconnected', reason, retryInMs });
    this.retry = (this.options.clock ?? systemClock).after(retryInMs, () => void this.connect());
  }
}

/** The `authorization` header for a token file; none without one or in plaintext. Rejects when the file cannot be read. */
export async function authorizationHeaders(options: { readonly tokenPath?: string; readonly tls?: unknown }): Promise<Record<string, string>> {
  if (options.tokenPath === undefined || options.tls === undefined) return {};
  return { authorization: `Bearer ${(await readFile(options.tokenPath, 'utf8')).trim()}` };
}

