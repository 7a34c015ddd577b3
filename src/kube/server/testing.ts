/** A server for tests: memory store, its own PKI, a port the system chooses, and kubectl pointed at it. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KubeObject } from '../../objects/meta.ts';
import { SERVICE_ACCOUNT } from '../../objects/resource-types.ts';
import type { KubeClient } from '../client/client.ts';
import { createApiServer, type ApiServer, type ApiServerOptions } from './api-server.ts';
import { createPki, kubeconfigOf, type Pki } from './auth/pki.ts';
import { openMemoryStore } from './store/memory.ts';

/** Why kubectl cannot be run here; undefined when it can. */
export function kubectlMissing(): string | undefined {
  try {
    execFileSync('kubectl', ['version', '--client', '--output=json'], { stdio: 'pipe', timeout: 20_000 });
    return undefined;
  } catch {
    return 'kubectl is not installed';
  }
}

export interface KubectlResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface TestServer {
  readonly server: ApiServer;
  readonly client: KubeClient;
  readonly port: number;
  readonly pki: Pki;
  /** Runs kubectl as the administrator. `input` goes to its standard input. */
  kubectl(args: readonly string[], input?: string, env?: Readonly<Record<string, string>>): Promise<KubectlResult>;
  /** What points kubectl at the server. */
  readonly environment: Readonly<Record<'HOME' | 'KUBECONFIG', string>>;
  /** One HTTPS request with the administrator's certificate, a token, or nothing. */
  fetch(path: string, options?: { readonly method?: string; readonly body?: string | Buffer; readonly headers?: Readonly<Record<string, string>>; readonly anonymous?: boolean }): Promise<{ readonly status: number; readonly body: string; readonly headers: Readonly<Record<string, unknown>> }>;
  close(): Promise<void>;
}

/** Starts a server whose namespace `default` has its service account, as a controller would make it. */
export async function startTestServer(options: Partial<ApiServerOptions> = {}): Promise<TestServer> {
  const pki = createPki({ names: ['127.0.0.1', 'localhost'], nowMs: Date.now() });
  const server = createApiServer({ store: openMemoryStore(), pki, ...options });
  await server.ready;
  const client = server.client();
  await client.create(SERVICE_ACCOUNT, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: 'default' } } satisfies KubeObject);
  const port = await server.listen({ host: '127.0.0.1', port: 0 });
  const home = mkdtempSync(join(tmpdir(), 'kubectl-'));
  const kubeconfig = join(home, 'kubeconfig');
  writeFileSync(kubeconfig, kubeconfigOf(pki, `https://127.0.0.1:${port}`), { mode: 0o600 });
  return {
    server, client, port, pki,
    environment: { HOME: home, KUBECONFIG: kubeconfig },
    kubectl: (args, input, env) => new Promise((resolve) => {
      const child = execFile('kubectl', [...args], { env: { PATH: process.env['PATH'], HOME: home, KUBECONFIG: kubeconfig, ...env }, timeout: 30_000 }, (error, stdout, stderr) => {
        resolve({ code: error ? Number(error.code ?? 1) : 0, stdout, stderr });
      });
      child.stdin?.end(input ?? '');
    }),
    fetch: (path, { method = 'GET', body, headers = {}, anonymous = false } = {}) => new Promise((resolve, reject) => {
      const call = request({ host: '127.0.0.1', port, path, method, headers, ca: pki.ca.certPem, agent: false, ...(anonymous ? {} : { cert: pki.admin.certPem, key: pki.admin.keyPem }) }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8'), headers: response.headers }));
      });
      call.on('error', reject);
      call.end(body);
    }),
    async close() {
      await server.close();
      rmSync(home, { recursive: true, force: true });
    },
  };
}
