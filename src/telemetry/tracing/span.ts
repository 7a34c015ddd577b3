/** One finished span, before any wire format. */
export interface FinishedSpan {
  /** 16 or 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly kind: 'client' | 'server';
  readonly name: string;
  readonly startMs: number;
  readonly durationMs: number;
  /** The id is the caller's own (Zipkin's shared spans). */
  readonly shared: boolean;
  readonly service: string;
  /** IP address of this side, '' when not known. */
  readonly localIp: string;
  readonly tags: ReadonlyMap<string, string>;
}
