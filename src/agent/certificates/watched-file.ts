// Files that change under us: Kubernetes swaps a symlink, people overwrite.
import { readFileSync, watch, type FSWatcher } from 'node:fs';
import { dirname } from 'node:path';

/** How often a file is looked at although no event came (mounts that do not report changes). */
const POLL_MS = 10_000;

/**
 * Calls back with the contents of all files now (if they can be read) and whenever any of them changes. Files that vanish keep their last contents.
 * Returns how to stop.
 */
export function watchFiles(paths: readonly string[], onContents: (contents: readonly string[]) => void): () => void {
  let last: string | undefined;
  const check = (): void => {
    let contents: string[];
    try {
      contents = paths.map((path) => readFileSync(path, 'utf8'));
    } catch {
      return;
    }
    const joined = contents.join('\0');
    if (joined === last) return;
    last = joined;
    onContents(contents);
  };
  const watchers: FSWatcher[] = [];
  let pending: NodeJS.Timeout | undefined;
  // Certificate and key are written one after the other: wait for both.
  const soon = (): void => void (pending ??= setTimeout(() => ((pending = undefined), check()), 100));
  for (const directory of new Set(paths.map((path) => dirname(path)))) {
    try {
      const watcher = watch(directory, { persistent: false }, soon);
      watcher.on('error', () => {});
      watchers.push(watcher);
    } catch {
      // The directory is not there yet; polling will see it.
    }
  }
  const poll = setInterval(check, POLL_MS);
  poll.unref();
  check();
  return () => {
    clearInterval(poll);
    clearTimeout(pending);
    for (const watcher of watchers) watcher.close();
  };
}
