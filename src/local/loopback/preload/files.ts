/** Volumes of a container for Node programs: paths below a mount point lead to the volume's folder. Only public functions of `fs` are changed. */
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Functions whose second argument is a path as well. */
const TWO_PATHS = new Set(['rename', 'link', 'copyFile', 'symlink', 'cp']);
/** Not functions of paths. */
const OTHER = /^(read|readv|write|writev|close|fstat|fsync|fdatasync|ftruncate|fchmod|fchown|futimes)(Sync)?$/;

/** The path on the machine of a path in the container; unchanged when it is below no mount. Pure. */
export function mappedPath(path: string, mounts: readonly (readonly [string, string])[]): string {
  for (const [target, source] of mounts) {
    if (path === target) return source;
    if (path.startsWith(target.endsWith('/') ? target : `${target}/`)) return source + path.slice(target.endsWith('/') ? target.length - 1 : target.length);
  }
  return path;
}

const SHELL = /(?:^|\/)(?:sh|bash|dash|ash|zsh)$/;
/** A path in a shell script: at its start, or after what separates words. The path of a URL is none. */
const PATH_IN_SCRIPT = /(^|[\s"'`=<>(|;&:,])(\/[^\s"'`<>()|;&:,]*)/g;

/** A command line whose words that are paths below a mount lead to the volume; in the script of `sh -c` every word counts. Pure. */
export function mappedCommand(argv: readonly string[], mounts: readonly (readonly [string, string])[]): readonly string[] {
  const script = SHELL.test(argv[0] ?? '') ? argv.findIndex((word) => /^-[a-z]*c$/.test(word)) + 1 : 0;
  return argv.map((word, index) => {
    if (script === 0 || index !== script) return mappedPath(word, mounts);
    return word.replace(PATH_IN_SCRIPT, (_whole, before: string, path: string) => before + mappedPath(path, mounts));
  });
}

type AnyFunction = (this: unknown, ...args: unknown[]) => unknown;

/** Changes `fs` and `fs.promises` for good. */
export function patchFiles(mounts: readonly (readonly [string, string])[]): void {
  if (mounts.length === 0) return;
  const map = (value: unknown): unknown => {
    if (typeof value === 'string') return mappedPath(value, mounts);
    const text = value instanceof URL && value.protocol === 'file:' ? fileURLToPath(value) : Buffer.isBuffer(value) ? value.toString() : undefined;
    const mapped = text === undefined ? undefined : mappedPath(text, mounts);
    return mapped === text ? value : mapped;
  };
  const patch = (object: Record<string, unknown>): void => {
    for (const [name, original] of Object.entries(object)) {
      if (typeof original !== 'function' || /^[A-Z_]/.test(name) || OTHER.test(name)) continue;
      const two = TWO_PATHS.has(name.replace(/Sync$/, ''));
      const changed: AnyFunction = function (this: unknown, ...args) {
        if (args.length > 0) args[0] = map(args[0]);
        if (two && args.length > 1) args[1] = map(args[1]);
        return (original as AnyFunction).apply(this, args);
      };
      // `realpath.native` and the symbols of util.promisify stay.
      for (const key of Reflect.ownKeys(original)) if (!['length', 'name', 'prototype', 'arguments', 'caller'].includes(String(key))) Object.defineProperty(changed, key, Object.getOwnPropertyDescriptor(original, key)!);
      const descriptor = Object.getOwnPropertyDescriptor(object, name)!;
      if (descriptor.writable) object[name] = changed;
    }
  };
  patch(fs.promises as unknown as Record<string, unknown>);
  patch(fs as unknown as Record<string, unknown>);
}
