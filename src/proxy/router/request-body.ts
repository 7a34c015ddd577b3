/** How much of a request may be kept for another try. @see Envoy per_connection_buffer_limit_bytes */
const MAX_KEPT_BYTES = 1_048_576;
/** How much may wait for a connection before the client is paused. */
const MAX_WAITING_BYTES = 65_536;

const NOTHING: readonly Buffer[] = [];

/** The part of a request body that has not left yet, or may have to leave again. */
export class RequestBody {
  private chunks: readonly Buffer[] = NOTHING;
  private bytes = 0;
  private keep: boolean;
  /** Too large to be kept: no more tries. */
  abandoned = false;

  constructor(keep: boolean) {
    this.keep = keep;
  }

  get empty(): boolean {
    return this.bytes === 0;
  }

  get tooMuchWaiting(): boolean {
    return this.bytes > MAX_WAITING_BYTES;
  }

  /** Takes a chunk; `waiting`: it cannot be sent now. */
  add(buffer: Buffer, start: number, end: number, waiting: boolean): 'kept' | 'passed' | 'overflow' {
    if (!waiting && !this.keep) return 'passed';
    let outcome: 'kept' | 'overflow' = 'kept';
    if (this.keep && this.bytes + end - start > MAX_KEPT_BYTES) {
      this.keep = false;
      this.abandoned = true;
      outcome = 'overflow';
      if (!waiting) {
        this.chunks = NOTHING;
        return outcome;
      }
    }
    const chunk = Buffer.from(buffer.subarray(start, end));
    if (this.chunks === NOTHING) this.chunks = [chunk];
    else (this.chunks as Buffer[]).push(chunk);
    this.bytes += end - start;
    return outcome;
  }

  /** What has to be sent to a new attempt; forgotten when no further attempt may follow. */
  take(): readonly Buffer[] {
    const { chunks } = this;
    if (!this.keep) this.chunks = NOTHING;
    return chunks;
  }

  drop(): void {
    this.keep = false;
    this.chunks = NOTHING;
  }
}
