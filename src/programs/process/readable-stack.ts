// Stack traces of bundled programs in terms of the sources. The maps (megabytes) are read when something has gone wrong, and dropped again.
import { readFileSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { fileURLToPath } from 'node:url';

const FRAME = /(file:\/\/\/[^\s()]+\.js):(\d+):(\d+)/g;
/** The same failure again and again costs one reading of the maps. */
const MAX_REMEMBERED = 50;
const remembered = new Map<string, string>();

/** What to log of something thrown: its stack with source positions (`src/x.ts:3:5`) where a map stands beside the program, else as it is. */
export function readableStack(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const stack = thrown.stack ?? thrown.message;
  const known = remembered.get(stack);
  if (known !== undefined) return known;
  const maps = new Map<string, SourceMap | undefined>();
  const readable = stack.replace(FRAME, (frame: string, url: string, line: string, column: string) => {
    if (!maps.has(url)) maps.set(url, readMap(url));
    return positionIn(maps.get(url), Number(line), Number(column)) ?? frame;
  });
  if (remembered.size < MAX_REMEMBERED) remembered.set(stack, readable);
  return readable;
}

function readMap(url: string): SourceMap | undefined {
  try {
    return new SourceMap(JSON.parse(readFileSync(`${fileURLToPath(url)}.map`, 'utf8')) as SourceMapPayload);
  } catch {
    // No map, or not one: the frame stays as it is.
    return undefined;
  }
}

/** Lines and columns of stacks count from 1, those of maps from 0. */
function positionIn(map: SourceMap | undefined, line: number, column: number): string | undefined {
  const entry = map?.findEntry(line - 1, column - 1);
  if (!entry || !('originalSource' in entry) || !entry.originalSource) return undefined;
  return `${entry.originalSource.replace(/^(\.\.\/)+/, '')}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
}
