import type { HeaderMap, RequestHead, ResponseHead } from '../http/message.ts';

/** A request that a filter makes on its own, to a cluster of the mesh. */
export interface SideRequest {
  readonly cluster: string;
  readonly head: RequestHead;
  /** Empty = no body. */
  readonly body: Buffer;
  readonly timeoutMs: number;
  /** Longer answers are failures. */
  readonly maxResponseBytes: number;
}

export type SideResult =
  | { readonly kind: 'response'; readonly head: ResponseHead; readonly body: Buffer; readonly trailers: HeaderMap | undefined }
  | { readonly kind: 'failure'; readonly reason: string };

/** Sends the request; `done` is called once, later. What it returns gives the call up. */
export type SideCall = (request: SideRequest, done: (result: SideResult) => void) => () => void;
