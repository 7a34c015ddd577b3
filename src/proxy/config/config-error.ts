/** Refusals of configuration: the text becomes the NACK's error detail. */
import { messageOf } from '../../base/errors.ts';

/** A resource that cannot be obeyed; the message starts with the path of the field. */
export class ConfigError extends Error {
  override name = 'ConfigError';

  constructor(
    readonly path: string,
    readonly reason: string,
  ) {
    super(path ? `${path}: ${reason}` : reason);
  }
}

/** Runs `compile` and puts `path` in front of the path of any refusal inside; other errors become refusals too, because they come from the network's data. */
export function within<T>(path: string, compile: () => T): T {
  try {
    return compile();
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw new ConfigError(path, messageOf(thrown));
    throw new ConfigError(thrown.path ? `${path}${thrown.path.startsWith('[') ? '' : '.'}${thrown.path}` : path, thrown.reason);
  }
}

/** `within` over the items of a repeated field: `routes[2]`. */
export function eachWithin<T, R>(path: string, items: readonly T[], compile: (item: T, index: number) => R): R[] {
  return items.map((item, index) => within(`${path}[${index}]`, () => compile(item, index)));
}
