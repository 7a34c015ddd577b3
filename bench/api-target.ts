/** The embedded API server on a store on disk: a child of the API bench. Says its port and how long it took to be ready. */
import { join } from 'node:path';
import { setLogLevel } from '../src/base/log.ts';
import { createApiServer } from '../src/kube/server/api-server.ts';
import { openPki } from '../src/kube/server/auth/pki.ts';
import { openLmdbStore } from '../src/kube/server/store/lmdb.ts';

export interface ApiReady {
  readonly port: number;
  /** From the start of the process. */
  readonly readyMs: number;
}

setLogLevel('none');
const home = process.argv[2] ?? '';
const server = createApiServer({ store: openLmdbStore(join(home, 'data')), pki: openPki(join(home, 'pki'), { names: ['127.0.0.1', 'localhost'], nowMs: Date.now() }) });
await server.ready;
const port = await server.listen({ host: '127.0.0.1', port: 0 });
process.send!({ port, readyMs: performance.now() } satisfies ApiReady);
process.on('disconnect', () => process.exit(0));
