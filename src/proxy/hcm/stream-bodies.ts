import type { BodyAccess, LocalReply } from '../filters/http-filter.ts';
import type { HeaderMap } from '../http/message.ts';
import type { BodyHold } from './body-hold.ts';

/** What {@link StreamBodies} needs of a stream. */
interface HoldingStream {
  readonly requestHold: BodyHold;
  readonly responseHold: BodyHold | undefined;
  readonly requestComplete: boolean;
  resumeRequest(): void;
  resumeUpstream(): void;
  answerInstead(reply: LocalReply): void;
}

/** Filters' way to the bodies of one stream. */
export class StreamBodies implements BodyAccess {
  constructor(private readonly stream: HoldingStream) {}

  bufferRequest(maxBytes: number, done: (body: Buffer | undefined) => void): void {
    const { stream } = this;
    if (stream.requestComplete && !stream.requestHold.complete) stream.requestHold.end(undefined);
    stream.requestHold.want(maxBytes, done);
    if (stream.requestHold.wanted) stream.resumeRequest();
  }

  requestPrefix(maxBytes: number): Buffer {
    return this.stream.requestHold.prefix(maxBytes);
  }

  replaceRequest(body: Buffer): void {
    this.stream.requestHold.replace(body);
  }

  get requestTrailers(): HeaderMap | undefined {
    return this.stream.requestHold.trailers;
  }

  get requestHasBody(): boolean {
    return !this.stream.requestComplete || !this.stream.requestHold.empty;
  }

  bufferResponse(maxBytes: number, done: (body: Buffer | undefined) => void): void {
    const hold = this.stream.responseHold;
    if (hold === undefined) return;
    hold.want(maxBytes, done);
    if (hold.wanted) this.stream.resumeUpstream();
  }

  replaceResponse(body: Buffer): void {
    this.stream.responseHold?.replace(body);
  }

  get responseTrailers(): HeaderMap | undefined {
    return this.stream.responseHold?.trailers;
  }

  get responseHasBody(): boolean {
    const hold = this.stream.responseHold;
    return hold !== undefined && !(hold.complete && hold.empty);
  }

  replaceByReply(reply: LocalReply): void {
    this.stream.answerInstead(reply);
  }
}
