interface SlicingBuffer {
  latin1Slice(start: number, end: number): string;
}

/** Bytes as Latin-1 text: byte n is code unit n, so any bytes survive. Undocumented `latin1Slice`, because `toString` costs twice as much on small heads. */
export function latin1(buffer: Buffer, start: number, end: number): string {
  return (buffer as unknown as SlicingBuffer).latin1Slice(start, end);
}
