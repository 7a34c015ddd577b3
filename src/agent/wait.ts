// `pilot-agent wait`: blocks a container's postStart hook until the proxy is ready.
import { localRequest } from './status/admin-client.ts';

export interface WaitOptions {
  /** Default http://localhost:15021/healthz/ready. */
  readonly url: string;
  readonly timeoutMs: number;
  readonly periodMs: number;
  readonly requestTimeoutMs: number;
}

/** Reads `--url`, `--timeoutSeconds` (60), `--periodMillis` (500), `--requestTimeoutMillis` (500). */
export function parseWaitArgs(args: readonly string[]): WaitOptions {
  const flags = new Map(args.map((arg) => /^--(\w+)=(.*)$/.exec(arg)).filter((match): match is RegExpExecArray => match !== null).map((match) => [match[1]!, match[2]!]));
  const number = (name: string, otherwise: number): number => (Number.isFinite(Number(flags.get(name))) && flags.has(name) ? Number(flags.get(name)) : otherwise);
  return { url: flags.get('url') ?? 'http://localhost:15021/healthz/ready', timeoutMs: number('timeoutSeconds', 60) * 1000, periodMs: number('periodMillis', 500), requestTimeoutMs: number('requestTimeoutMillis', 500) };
}

/** Undefined when the proxy became ready in time, otherwise what the last attempt said. */
export async function waitForProxy(options: WaitOptions): Promise<string | undefined> {
  const url = new URL(options.url);
  const deadline = Date.now() + options.timeoutMs;
  let last = 'not asked';
  for (;;) {
    try {
      const answer = await localRequest({ host: url.hostname === 'localhost' ? '127.0.0.1' : url.hostname, port: Number(url.port || 80), path: url.pathname + url.search, timeoutMs: options.requestTimeoutMs });
      if (answer.status === 200) return undefined;
      last = `HTTP status code ${answer.status}`;
    } catch (thrown) {
      last = thrown instanceof Error ? thrown.message : String(thrown);
    }
    if (Date.now() >= deadline) return `timeout waiting for Envoy proxy to become ready. Last error: ${last}`;
    await new Promise((resolve) => setTimeout(resolve, options.periodMs));
  }
}
