/** A bug of ours. Caught only at the edge of a connection, a watch or a process, where it is counted and logged. */
export class InvariantError extends Error {
  override name = 'InvariantError';
}

/** Throws an {@link InvariantError} unless the condition holds. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
