/** Numbers of RFC 9113 and the sizes and limits we chose. */

/** @see RFC 9113 section 6 */
export const FRAME = { data: 0, headers: 1, priority: 2, rstStream: 3, settings: 4, pushPromise: 5, ping: 6, goAway: 7, windowUpdate: 8, continuation: 9 } as const;

/** `ack` and `endStream` share a bit: they belong to different frames. @see RFC 9113 section 6 */
export const FLAG = { ack: 1, endStream: 1, endHeaders: 4, padded: 8, priority: 32 } as const;

/** @see RFC 9113 section 7 */
export const ERROR = {
  none: 0, protocol: 1, internal: 2, flowControl: 3, settingsTimeout: 4, streamClosed: 5, frameSize: 6, refusedStream: 7, cancel: 8, compression: 9, connect: 10, enhanceYourCalm: 11, inadequateSecurity: 12, http11Required: 13,
} as const;

/** @see RFC 9113 section 6.5.2, RFC 8441 section 3 */
export const SETTING = { headerTableSize: 1, enablePush: 2, maxConcurrentStreams: 3, initialWindowSize: 4, maxFrameSize: 5, maxHeaderListSize: 6, enableConnectProtocol: 8 } as const;

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
export const FRAME_HEADER_BYTES = 9;
/** What everybody may send, and the most we take: larger frames would only delay other streams. @see RFC 9113 section 4.2 */
export const DEFAULT_FRAME_BYTES = 16_384;
export const DEFAULT_WINDOW_BYTES = 65_535;
export const MAX_WINDOW_BYTES = 0x7fffffff;
export const MAX_STREAM_ID = 0x7fffffff;
export const DEFAULT_TABLE_BYTES = 4096;

/**
 * What one stream may have on its way to a reader that is too slow: also what we may have to keep of it. Odd, because Node's HTTP/2 server resets a stream
 * whose body ends exactly where the window does, before its END_STREAM: bodies and frames whose sizes are powers of two must not meet that by rule.
 */
export const STREAM_WINDOW_BYTES = 262_145;
/** What all streams of a connection may have so: 64 stalled streams before the others wait for them. */
export const CONNECTION_WINDOW_BYTES = 16_777_216;
/** Streams a peer may have open, and most that we open on one connection. */
export const MAX_STREAMS = 1024;
/** Streams we open before the peer said how many it takes. @see RFC 9113 section 6.5.2 */
export const STREAMS_BEFORE_SETTINGS = 100;

/** A block in more pieces is an attack (CVE-2024-27316): 60 KiB fit into four frames. */
export const MAX_CONTINUATIONS = 16;
/** Larger blocks are not decoded to be answered with 431: the connection ends. */
export const MAX_BLOCK_BYTES = 262_144;
/** Frames other than DATA that may wait for a peer that does not read. */
export const MAX_WAITING_BYTES = 4_194_304;
/** How many streams that we reset are remembered: what was on its way for them is no mistake of the peer. */
export const MAX_REMEMBERED_RESETS = 2048;
