import { Socket } from 'node:net';

/** net.Socket's `onread` option. The generator is asked after every read; anything but memory means "keep the buffer". */
export interface OnRead {
  readonly buffer: () => Uint8Array;
  readonly callback: (bytes: number, buffer: Uint8Array) => boolean;
}

interface UserBufferHandle {
  useUserBuffer?(buffer: Uint8Array): void;
}

/** The fields behind the `onread` option, by the names Node gives their symbols. */
const fields = new Map(Object.getOwnPropertySymbols(new Socket()).map((symbol) => [symbol.description, symbol]));
const [BUFFER, CALLBACK, GENERATOR] = ['kBuffer', 'kBufferCb', 'kBufferGen'].map((name) => fields.get(name)) as [symbol | undefined, symbol | undefined, symbol | undefined];

/**
 * Makes an open socket read the way `onread` asks. Node takes that option only for sockets it opens itself, which TLS over an accepted connection is not;
 * without it every read costs fresh memory and a walk through Readable. False where this Node has no such fields: 'data' events it is then.
 */
export function readInto(socket: Socket, onread: OnRead): boolean {
  const handle = (socket as unknown as { _handle?: UserBufferHandle })._handle;
  if (BUFFER === undefined || CALLBACK === undefined || GENERATOR === undefined || handle?.useUserBuffer === undefined) return false;
  // What came before would be lost.
  if (socket.readableLength > 0 || process.env['MELTEMI_PORTABLE_IO'] === '1') return false;
  const buffer = onread.buffer();
  Object.assign(socket, { [BUFFER]: buffer, [CALLBACK]: onread.callback, [GENERATOR]: onread.buffer });
  handle.useUserBuffer(buffer);
  socket.read(0);
  return true;
}
