/** Reads a watch: one JSON event a line. */
import { StringDecoder } from 'node:string_decoder';
import type { KubeObject } from '../../objects/meta.ts';
import { ApiError, type WatchEvent } from './client.ts';

interface Line {
  readonly type: string;
  readonly object: unknown;
}

/** Events until the stream ends. Throws {@link ApiError} for an ERROR event (410 when the version is too old). */
export async function* watchEvents<T extends KubeObject>(stream: AsyncIterable<Buffer>, maxLineBytes: number): AsyncIterable<WatchEvent<T>> {
  const decoder = new StringDecoder('utf8');
  let rest: string[] = [];
  let restLength = 0;
  for await (const chunk of stream) {
    const lines = decoder.write(chunk).split('\n');
    for (let i = 0; i < lines.length; i++) {
      const part = lines[i]!;
      if (i === lines.length - 1) {
        rest.push(part);
        restLength += part.length;
        if (restLength > maxLineBytes) throw new Error(`a watch event is larger than ${maxLineBytes} bytes`);
        break;
      }
      const line = rest.length > 0 ? rest.join('') + part : part;
      rest = [];
      restLength = 0;
      if (line.trim() !== '') yield parseEvent<T>(line);
    }
  }
}

function parseEvent<T extends KubeObject>(line: string): WatchEvent<T> {
  const { type, object } = JSON.parse(line) as Line;
  if (type === 'ERROR') {
    const status = object as { readonly code?: number; readonly reason?: string; readonly message?: string };
    throw new ApiError(status.code ?? 500, status.reason ?? '', status.message ?? 'the watch failed');
  }
  if (type !== 'ADDED' && type !== 'MODIFIED' && type !== 'DELETED' && type !== 'BOOKMARK') throw new Error(`unknown watch event ${type}`);
  return { type, object: object as T };
}
