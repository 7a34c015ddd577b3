// Talks to the proxy's admin interface, ours or Envoy's: the agent needs the same five things of both.
import { request } from 'node:http';

export interface HttpAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: Buffer;
}

/** A request to a local port. Rejects when nothing listens, or when the answer takes longer than `timeoutMs` (default 5 s) or has more than 256 MB. */
export function localRequest(options: { readonly port: number; readonly method?: string; readonly path: string; readonly headers?: Readonly<Record<string, string>>; readonly body?: string; readonly timeoutMs?: number; readonly host?: string }): Promise<HttpAnswer> {
  const { port, method = 'GET', path, headers = {}, body, timeoutMs = 5000, host = '127.0.0.1' } = options;
  return new Promise((resolve, reject) => {
    const outgoing = request({ host, port, method, path, headers, agent: false, signal: AbortSignal.timeout(timeoutMs) }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > 256 * 1024 * 1024) response.destroy(new Error('the answer is too long'));
        else chunks.push(chunk);
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, contentType: response.headers['content-type'] ?? '', body: Buffer.concat(chunks) }));
      response.on('error', reject);
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

/** What the agent asks of a proxy. */
export interface ProxyControl {
  /** Undefined when the proxy serves; otherwise why it does not. */
  notReady(): Promise<string | undefined>;
  /** Prometheus text. */
  metrics(): Promise<HttpAnswer>;
  /** Stops accepting gracefully: listeners drain, connections are asked to close. */
  drain(): Promise<void>;
  /** Downstream connections that are open; undefined when it cannot be told. */
  activeConnections(): Promise<number | undefined>;
}

/** Control through the admin port (15000). */
export function adminControl(port: number): ProxyControl {
  let once = false;
  return {
    async notReady() {
      try {
        // Ready once is ready for good: a lost control plane must not take a serving proxy out of rotation.
        if (!once) {
          const stats = await localRequest({ port, path: '/stats?usedonly&filter=^(cluster_manager.cds|listener_manager.lds|listener_manager.workers_started|server.state)' });
          const missing = missingConfiguration(stats.body.toString());
          if (missing !== undefined) return missing;
        }
        const ready = await localRequest({ port, path: '/ready' });
        if (ready.status !== 200) return `proxy is ${ready.body.toString().trim() || `not ready (${ready.status})`}`;
        once = true;
        return undefined;
      } catch (thrown) {
        return `proxy is not answering: ${thrown instanceof Error ? thrown.message : String(thrown)}`;
      }
    },
    metrics: () => localRequest({ port, path: '/stats/prometheus', timeoutMs: 10_000 }),
    async drain() {
      await localRequest({ port, method: 'POST', path: '/healthcheck/fail' }).catch(() => undefined);
      await localRequest({ port, method: 'POST', path: '/drain_listeners?graceful&skip_exit' });
    },
    async activeConnections() {
      try {
        const { body } = await localRequest({ port, path: '/stats?usedonly&filter=downstream_cx_active$' });
        // Admin, metrics and readiness listeners do not count: whoever watches the shutdown is among them.
        return [...body.toString().matchAll(/^listener\.(\S+)\.downstream_cx_active: (\d+)$/gm)].filter(([, name]) => !/admin|_15090$|_15021$|_15020$/.test(name!)).reduce((sum, [, , count]) => sum + Number(count), 0);
      } catch {
        return undefined;
      }
    },
  };
}

/** A proxy without clusters or listeners would answer, but with nothing. */
function missingConfiguration(stats: string): string | undefined {
  const get = (name: string): number => Number(new RegExp(`^${name.replaceAll('.', '\\.')}: (\\d+)$`, 'm').exec(stats)?.[1] ?? 0);
  const [cds, cdsRejected, lds, ldsRejected] = ['cluster_manager.cds.update_success', 'cluster_manager.cds.update_rejected', 'listener_manager.lds.update_success', 'listener_manager.lds.update_rejected'].map(get);
  if (cds! > 0 && lds! > 0) return undefined;
  return `config not received from XDS server (is Istiod running?): cds updates: ${cds} successful, ${cdsRejected} rejected; lds updates: ${lds} successful, ${ldsRejected} rejected`;
}
