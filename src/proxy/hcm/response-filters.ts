import type { FilterContext, HttpFilter } from '../filters/http-filter.ts';
import type { HeaderMap, ResponseHead } from '../http/message.ts';
import { BodyHold } from './body-hold.ts';

/** Where a response goes after its filters. */
export interface ResponseExit {
  writeHead(head: ResponseHead, end: boolean): void;
  onResponseBody(buffer: Buffer, start: number, end: number): void;
  onResponseEnd(trailers: HeaderMap | undefined): void;
  /** The upstream waits, or goes on. */
  pauseUpstream(): void;
  resumeUpstream(): void;
}

/** A response on its way through the filters, last filter first; while one of them has it, its body is held. */
export class ResponseFilters {
  held: BodyHold | undefined;
  private cancelWait: (() => void) | undefined;
  private head: ResponseHead | undefined;

  constructor(
    private readonly exit: ResponseExit,
    private readonly context: FilterContext,
  ) {}

  run(filters: readonly HttpFilter[], head: ResponseHead, end: boolean): void {
    this.head = head;
    this.from(filters, head, end, filters.length - 1);
  }

  private from(filters: readonly HttpFilter[], head: ResponseHead, end: boolean, last: number): void {
    for (let index = last; index >= 0; index--) {
      const filter = filters[index]!;
      if (filter.onResponse === undefined) continue;
      // Such a filter may ask for the body while it decides whether to wait.
      if (filter.readsBodies === true) this.hold(end);
      const wait = filter.onResponse(head, this.context);
      if (this.head !== head) return;
      if (typeof wait !== 'function') continue;
      this.hold(end);
      this.cancelWait = wait(() => {
        this.cancelWait = undefined;
        if (this.head === head) this.from(filters, head, end, index - 1);
      });
      return;
    }
    this.leave(head, end);
  }

  private hold(end: boolean): void {
    if (this.held !== undefined) return;
    this.held = new BodyHold();
    if (end) this.held.end(undefined);
  }

  /** The head goes out, and what came of the body meanwhile behind it. */
  private leave(head: ResponseHead, end: boolean): void {
    const { held, exit } = this;
    this.held = undefined;
    if (held === undefined) {
      exit.writeHead(head, end);
      return;
    }
    const whole = held.complete && held.empty && held.trailers === undefined;
    exit.writeHead(head, whole);
    if (whole) return;
    for (const chunk of held.take()) exit.onResponseBody(chunk, 0, chunk.length);
    if (held.complete) exit.onResponseEnd(held.trailers);
    else exit.resumeUpstream();
  }

  /** True: kept. */
  takeBody(buffer: Buffer, start: number, end: number): boolean {
    if (this.held === undefined) return false;
    this.held.push(Buffer.from(buffer.subarray(start, end)));
    if (this.held?.wanted === false) this.exit.pauseUpstream();
    return true;
  }

  takeEnd(trailers: HeaderMap | undefined): boolean {
    if (this.held === undefined) return false;
    this.held.end(trailers);
    return true;
  }

  /** Nothing of this response goes on. */
  drop(): void {
    this.head = undefined;
    this.held = undefined;
    this.cancelWait?.();
    this.cancelWait = undefined;
  }
}
