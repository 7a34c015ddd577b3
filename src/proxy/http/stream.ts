import type { HeaderMap, RequestHead, ResponseHead } from './message.ts';

/** Why a stream ended early, in Envoy's words. @see Envoy StreamResetReason */
export type ResetReason =
  | 'connection termination'
  | 'remote connection failure'
  | 'local connection failure'
  | 'connection timeout'
  | 'remote reset'
  | 'local reset'
  | 'remote refused stream reset'
  | 'local refused stream reset'
  | 'protocol error'
  | 'overflow';

/** Receives a message body after its head. Bytes are valid only during the call (see `io/connection.ts`). */
export interface BodyReceiver {
  onBody(buffer: Buffer, start: number, end: number): void;
  /** The message is complete; trailers only where the codec carries them. */
  onEnd(trailers: HeaderMap | undefined): void;
  onReset(reason: ResetReason, detail: string): void;
  /** Writing may go on after a write that said false. */
  onDrain(): void;
}

/** Receives a response. */
export interface ResponseReceiver extends BodyReceiver {
  /** 100; others are dropped, as Envoy does. */
  onInformational(head: ResponseHead): void;
  onHead(head: ResponseHead, end: boolean): void;
}

/** A request as the proxy answers it, whatever its codec. Every method does nothing after the end or a reset. */
export interface ServerStream {
  readonly head: RequestHead;
  /** `websocket` and the like, lower case; undefined for ordinary requests. */
  readonly upgrade: string | undefined;
  /** Header and body bytes on the wire so far. */
  readonly wireBytesReceived: number;
  readonly wireBytesSent: number;
  sendInformational(head: ResponseHead): void;
  sendHead(head: ResponseHead, end: boolean): void;
  /** False: pause the source until `onDrain`. */
  sendBody(buffer: Buffer, start: number, end: number): boolean;
  sendEnd(trailers: HeaderMap | undefined): void;
  /** Ends the stream without a complete response. */
  reset(): void;
  pauseBody(): void;
  resumeBody(): void;
  /** The connection closes after this response. */
  closeAfterResponse(): void;
}

/** A request the proxy sends. */
export interface ClientStream {
  sendBody(buffer: Buffer, start: number, end: number): boolean;
  sendEnd(trailers: HeaderMap | undefined): void;
  /** Ends the stream; no callback follows. */
  cancel(): void;
  pauseBody(): void;
  resumeBody(): void;
}

/** What a codec refuses, with Envoy's answer. */
export interface CodecError {
  readonly status: number;
  readonly body: string;
  /** `http1.codec_error` and the like. */
  readonly details: string;
}

/** Takes requests from a server codec. */
export interface RequestHandler {
  /** Called once per request; what it returns gets the body. `end`: there is none. */
  onRequest(stream: ServerStream, end: boolean): BodyReceiver;
  /** The bytes were not a request; `stream` takes the answer, the connection closes after it. */
  onCodecError(stream: ServerStream, error: CodecError): void;
}
