/** Why a connection ended, in the words of errno (`ECONNRESET`), or undefined after an orderly close. */
export type CloseCause = { readonly code: string; readonly message: string } | undefined;

/**
 * Receives what a connection reads. `buffer` may be memory that every connection reads into: the bytes are valid only until the call returns, unless the
 * connection was told {@link Connection.readIntoOwnBuffer} and is paused before the call returns.
 */
export interface ConnectionSink {
  onData(buffer: Buffer, start: number, end: number): void;
  /** The peer sent FIN; the connection may still write. */
  onEnd(): void;
  /** Everything written has been handed to the kernel, after a write that said false. */
  onDrain(): void;
  /** Called once, last. */
  onClose(cause: CloseCause): void;
}

/** Peer facts of a TLS connection. */
export interface TlsFacts {
  /** ALPN agreed on, '' when none. */
  readonly alpn: string;
  readonly serverName: string;
  readonly version: string;
  /** PEM-free facts of the peer's certificate; undefined when it sent none. */
  readonly peer: PeerCertificate | undefined;
  readonly localUriSan: string;
}

export interface PeerCertificate {
  readonly uriSans: readonly string[];
  readonly dnsSans: readonly string[];
  /** RFC 2253 order, `CN=x,O=y`. */
  readonly subject: string;
  /** Lower-case hex SHA-256 of the DER. */
  readonly sha256: string;
  readonly pem: () => string;
}

/** Is told of bytes as they pass, once a read or write batch; a connection that lives for days is counted while it lives. */
export interface ByteMeter {
  read(bytes: number): void;
  written(bytes: number): void;
}

/** A byte stream: plaintext or TLS, accepted or opened. Writes of one read batch leave in one system call. */
export interface Connection {
  sink: ConnectionSink;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly tls: TlsFacts | undefined;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Counts what passes from now on. */
  meter?: ByteMeter | undefined;
  readonly destroyed: boolean;
  /** Latin-1 text; leaves at the end of the current batch together with everything else written in it. */
  writeText(text: string): void;
  /** False: not all of it has left; pause the source until `onDrain`. Bytes of a shared buffer are copied when they cannot leave at once. */
  writeBytes(buffer: Buffer, start: number, end: number): boolean;
  /** True while written bytes wait for the kernel; whoever was told so hears `onDrain`. */
  readonly blocked: boolean;
  flush(): void;
  pause(): void;
  resume(): void;
  /** Reads into memory of this connection only, so that its bytes can be written elsewhere without a copy. */
  readIntoOwnBuffer(own: boolean): void;
  /** Half-close after everything written has left. */
  end(): void;
  /**
   * Orderly close: flush, FIN, then destroy when the peer closes, or after a second without a byte taken. `peerIsDone`: it said that it sends nothing more,
   * so there is nothing to wait for.
   */
  close(peerIsDone?: boolean): void;
  /** Immediate close; `reset` sends RST. */
  destroy(reset?: boolean): void;
}
