// One scrape for everything in the pod: the proxy's metrics, the agent's own, the application's.
import { messageOf } from '../../base/errors.ts';
import { createLogger } from '../../base/log.ts';
import { localRequest, type ProxyControl } from './admin-client.ts';

const log = createLogger('status');

/** Where the application's metrics are, from the pod's `prometheus.io/*` annotations. */
export interface ApplicationScrape {
  readonly port: number;
  readonly path: string;
}

/** Reads ISTIO_PROMETHEUS_ANNOTATIONS; undefined when the application has no metrics. Our own port would be an endless loop. */
export function parseApplicationScrape(text: string | undefined, statusPort: number): ApplicationScrape | undefined {
  if (text === undefined || text === '') return undefined;
  let value: { scrape?: unknown; port?: unknown; path?: unknown };
  try {
    value = JSON.parse(text) as typeof value;
  } catch {
    return undefined;
  }
  if (value.scrape !== 'true') return undefined;
  const port = Number(value.port || 80);
  return port === statusPort || !Number.isInteger(port) || port < 1 || port > 65535 ? undefined : { port, path: typeof value.path === 'string' && value.path !== '' ? value.path : '/metrics' };
}

/** Counters and gauges of the agent, by Prometheus name. */
export class AgentMetrics {
  private readonly values = new Map<string, { readonly type: 'counter' | 'gauge'; readonly help: string; value: () => number }>();
  private readonly counts = new Map<string, number>();

  gauge(name: string, help: string, value: () => number): void {
    this.values.set(name, { type: 'gauge', help, value });
  }

  /** Declares a counter; {@link AgentMetrics.count} adds to it. */
  counter(name: string, help: string): void {
    this.values.set(name, { type: 'counter', help, value: () => this.counts.get(name) ?? 0 });
  }

  count(name: string, amount = 1): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + amount);
  }

  text(): string {
    return [...this.values].map(([name, { type, help, value }]) => `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name} ${value()}\n`).join('');
  }
}

/** Joins the three texts. A part that cannot be read is left out and counted; the proxy's is the one that must be there. */
export async function mergedMetrics(proxy: ProxyControl, agent: AgentMetrics, application: ApplicationScrape | undefined, accept: string | undefined): Promise<string> {
  agent.count('istio_agent_scrapes_total');
  const [own, app] = await Promise.all([
    proxy.metrics().then((answer) => answer.body.toString(), (thrown: unknown) => failed('envoy', thrown, agent)),
    application === undefined
      ? ''
      // Text only: merging protobuf or OpenMetrics (which ends in `# EOF`) with text cannot work.
      : localRequest({ port: application.port, path: application.path, headers: { accept: textOnly(accept) }, host: 'localhost', timeoutMs: 10_000 }).then(
          (answer) => (answer.status === 200 ? answer.body.toString().replace(/^# EOF\s*$/m, '') : failed('application', new Error(`status ${answer.status}`), agent)),
          (thrown: unknown) => failed('application', thrown, agent),
        ),
  ]);
  return [own, agent.text(), app].map((part) => (part === '' || part.endsWith('\n') ? part : `${part}\n`)).join('');
}

function failed(kind: 'envoy' | 'application', thrown: unknown, agent: AgentMetrics): string {
  agent.count('istio_agent_scrape_failures_total');
  log.warn(`failed to scrape ${kind} metrics`, { error: messageOf(thrown) });
  return '';
}

function textOnly(accept: string | undefined): string {
  const wanted = (accept ?? '').split(',').filter((part) => /^\s*(text\/plain|\*\/\*)/.test(part));
  return wanted.length > 0 ? wanted.join(',') : 'text/plain;version=0.0.4;q=1,*/*;q=0.1';
}
