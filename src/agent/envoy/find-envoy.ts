import { accessSync, constants } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

/** Where `scripts/setup.sh --with-envoy` puts Envoy, below the cache folder. */
const CACHED = 'envoy-1.40.0/envoy/_bin/envoy';

/**
 * The Envoy binary of this machine: `$ENVOY_BIN`, then the PATH, then the cache (`$MELTEMI_CACHE`, by default `$XDG_CACHE_HOME/meltemi` or
 * `~/.cache/meltemi`). Undefined when none of them can be executed.
 */
export function findEnvoy(environment: NodeJS.ProcessEnv = process.env): string | undefined {
  const cache = environment['MELTEMI_CACHE'] ?? join(environment['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'meltemi');
  const onPath = (environment['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'envoy'));
  return [environment['ENVOY_BIN'] ?? '', ...onPath, join(cache, CACHED)].filter(Boolean).find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
