/** The admin interface of a running proxy. */
import type { AdsClient } from '../../xds/ads.ts';
import type { ProxyNode } from '../config/runtime.ts';
import type { Proxy } from '../start.ts';
import { Admin, type AdminOptions } from './server.ts';

export interface OpenAdminOptions extends Pick<AdminOptions, 'version' | 'quit' | 'bootstrap' | 'inclusion' | 'clock'> {
  readonly node: ProxyNode;
  /** Undefined: the proxy has static resources only. */
  readonly ads: AdsClient | undefined;
  /** Default 15000; 0 takes a free one. */
  readonly port?: number;
  /** Default loopback. */
  readonly host?: string;
}

export interface OpenAdmin {
  /** Pages in process; `admin.prometheus()` is the body of 15090's `/stats/prometheus`. */
  readonly admin: Admin;
  readonly port: number;
  close(): Promise<void>;
}

/** Serves the admin interface of `proxy`. Rejects when the port is taken. */
export async function openAdmin(proxy: Proxy, options: OpenAdminOptions): Promise<OpenAdmin> {
  const { ads, port = 15_000, host, ...rest } = options;
  const admin = new Admin({
    ...rest,
    manager: proxy.config,
    stats: proxy.stats,
    registry: proxy.registry,
    secrets: () => proxy.secrets.known(),
    connectedToControlPlane: () => ads?.connected ?? false,
    drainListeners: ({ graceful, inboundOnly }) => proxy.drain({ stopAccepting: !graceful, inboundOnly }),
  });
  const server = await admin.listen(port, host);
  return { admin, port: server.port, close: () => server.close() };
}
