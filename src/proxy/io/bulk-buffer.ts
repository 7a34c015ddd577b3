/** What a connection reads into while it carries much: a quarter of the system calls of the shared buffer's size, each way. */
const LARGE_BYTES = 262_144;
/** As long as this many connections have one, 16 MiB together. The others make do with the size of the shared buffer. */
const MAX_LARGE = 64;
const SMALL_BYTES = 65_536;

let large = 0;

/** Memory for the reads of one connection; give it back with {@link releaseBulkBuffer}. */
export function takeBulkBuffer(): Buffer {
  if (large >= MAX_LARGE) return Buffer.allocUnsafeSlow(SMALL_BYTES);
  large++;
  return Buffer.allocUnsafeSlow(LARGE_BYTES);
}

/** The connection reads into it no more. Writes that still refer to it keep it alive. */
export function releaseBulkBuffer(buffer: Buffer): void {
  if (buffer.length === LARGE_BYTES) large--;
}
