// How a proxy ends: no new connections, a while for those that are open, then out.
import type { Clock } from '../base/clock.ts';
import { createLogger } from '../base/log.ts';
import type { ProxyControl } from './status/admin-client.ts';

const log = createLogger('agent');

export interface TerminationOptions {
  readonly proxy: ProxyControl;
  readonly clock: Clock;
  /** How long the proxy goes on serving. */
  readonly drainMs: number;
  /** Leave as soon as nothing is connected, but not before `minimumDrainMs`; then `drainMs` is no bound. */
  readonly exitOnZeroActiveConnections: boolean;
  readonly minimumDrainMs: number;
}

/** Drains and resolves when the proxy may be stopped. */
export async function drainBeforeExit(options: TerminationOptions): Promise<void> {
  const { proxy, clock, drainMs, exitOnZeroActiveConnections, minimumDrainMs } = options;
  const wait = (ms: number): Promise<void> => new Promise((resolve) => void clock.after(ms, resolve));
  await proxy.drain().catch((error: unknown) => log.warn('the proxy did not take the drain request', { error: String(error) }));
  if (!exitOnZeroActiveConnections) {
    log.info('graceful termination period', { seconds: drainMs / 1000 });
    await wait(drainMs);
    return;
  }
  log.info('waiting until no connection is open', { atLeastSeconds: minimumDrainMs / 1000 });
  await wait(minimumDrainMs);
  for (;;) {
    const active = await proxy.activeConnections();
    if (active === undefined || active === 0) return;
    await wait(1000);
  }
}
