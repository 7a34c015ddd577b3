/** Keeps the kernel's address translation equal to the Services and EndpointSlices: every change is one atomic iptables-restore. */
import { messageOf } from '../base/errors.ts';
import { createLogger } from '../base/log.ts';
import type { Informer } from '../kube/client/informer.ts';
import type { EndpointSlice } from '../objects/kubernetes/endpoint-slice.ts';
import type { Service } from '../objects/kubernetes/service.ts';
import { mustRun } from './command.ts';
import { hookRules, renderServiceRules, serviceChains, serviceRules } from './service-rules.ts';
import { BRIDGE, NODE_IP, SERVICE_CIDR } from './settings.ts';

const log = createLogger('service-nat');
/** Changes that come together are applied together; a burst waits at most twice this. */
const DEBOUNCE_MS = 15;
const RETRY_MS = 1000;

/** Hooks the chains and follows the API until the signal aborts. Resolves when the first state is in the kernel. */
export async function startServiceNat(services: Informer<Service>, slices: Informer<EndpointSlice>, signal: AbortSignal): Promise<void> {
  // The range needs a route so that the node itself may send to it before translation.
  await mustRun(['ip', 'route', 'replace', SERVICE_CIDR, 'dev', BRIDGE, 'src', NODE_IP]);
  await restore(hookRules());
  let applied = '';
  let timer: NodeJS.Timeout | undefined;
  let running = false;
  const apply = async (): Promise<void> => {
    timer = undefined;
    if (running || signal.aborted) return;
    running = true;
    try {
      const rules = serviceRules(services.items().values(), slices.items().values());
      if (renderServiceRules(rules) !== applied) {
        await restore(renderServiceRules(rules, serviceChains(applied)));
        applied = renderServiceRules(rules);
      }
    } catch (error) {
      log.error('rules not applied', { error: messageOf(error) });
      schedule(RETRY_MS);
    } finally {
      running = false;
    }
    if (again) schedule(DEBOUNCE_MS);
    again = false;
  };
  let again = false;
  const schedule = (delayMs: number): void => {
    if (running) again = true;
    else timer ??= setTimeout(() => void apply(), delayMs);
  };
  await Promise.all([services.synced, slices.synced]);
  services.onEvent(() => schedule(DEBOUNCE_MS));
  slices.onEvent(() => schedule(DEBOUNCE_MS));
  clearTimeout(timer);
  await apply();
}

function restore(text: string): Promise<string> {
  return mustRun(['iptables-restore', '--noflush', '--wait', '5'], { input: text });
}
