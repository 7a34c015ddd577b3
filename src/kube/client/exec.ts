/** Runs a command in a container through the API server, over the WebSocket protocol kubectl uses. */
import WebSocket from 'ws';
import type { ClusterAccess } from './kube-config.ts';
import { ProxyAgent } from './proxy-agent.ts';

/** Channels of `v5.channel.k8s.io`: the first byte of every binary message. @see https://kubernetes.io/blog/2024/08/20/websockets-transition/ */
export const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;

/** Sub-protocols, the newest first. */
export const EXEC_PROTOCOLS = ['v5.channel.k8s.io', 'v4.channel.k8s.io'] as const;

export interface ExecResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

export interface ExecOptions {
  readonly namespace: string;
  readonly pod: string;
  /** Default: the pod's first container. */
  readonly container?: string;
  readonly command: readonly string[];
  /** Default 30 000. */
  readonly timeoutMs?: number;
}

/** Runs to the end and collects what was printed. Rejects when the server refuses or the connection breaks. */
export async function execInPod(access: ClusterAccess, options: ExecOptions): Promise<ExecResult> {
  const { authorization, certPem, keyPem } = await access.credentials();
  const query = new URLSearchParams({ stdout: 'true', stderr: 'true', ...(options.container !== undefined && { container: options.container }) });
  for (const part of options.command) query.append('command', part);
  const url = `${access.server.replace(/^http/, 'ws')}/api/v1/namespaces/${encodeURIComponent(options.namespace)}/pods/${encodeURIComponent(options.pod)}/exec?${query.toString()}`;
  const socket = new WebSocket(url, [...EXEC_PROTOCOLS], {
    headers: { ...access.impersonation, ...(authorization === undefined ? {} : { authorization }) } as Record<string, string>,
    ...(access.proxyUrl !== undefined && { agent: new ProxyAgent(new URL(access.proxyUrl), {}) }),
    ...(access.caPem !== undefined && { ca: access.caPem }),
    ...(certPem !== undefined && { cert: certPem }),
    ...(keyPem !== undefined && { key: keyPem }),
    ...(access.serverName !== undefined && { servername: access.serverName }),
    rejectUnauthorized: access.insecureSkipVerify !== true,
    handshakeTimeout: 10_000,
  });
  return collect(socket, options);
}

function collect(socket: WebSocket, options: ExecOptions): Promise<ExecResult> {
  return new Promise((resolve, reject) => {
    const chunks: Record<'stdout' | 'stderr' | 'error', Buffer[]> = { stdout: [], stderr: [], error: [] };
    const what = `exec ${options.command[0] ?? ''} in ${options.namespace}/${options.pod}`;
    const timer = setTimeout(() => {
      socket.terminate();
      reject(new Error(`${what}: no end after ${(options.timeoutMs ?? 30_000) / 1000} s`));
    }, options.timeoutMs ?? 30_000);
    socket.on('message', (data: Buffer) => {
      const name = data[0] === CHANNEL.stdout ? 'stdout' : data[0] === CHANNEL.stderr ? 'stderr' : data[0] === CHANNEL.error ? 'error' : undefined;
      if (name) chunks[name].push(data.subarray(1));
    });
    socket.on('unexpected-response', (_request, response) => {
      clearTimeout(timer);
      response.setEncoding('utf8');
      let body = '';
      response.on('data', (chunk: string) => (body += chunk));
      response.on('end', () => reject(new Error(`${what}: ${statusMessage(body) ?? `HTTP ${response.statusCode}`}`)));
    });
    socket.on('error', (error) => {
      clearTimeout(timer);
      reject(new Error(`${what}: ${error.message}`, { cause: error }));
    });
    socket.on('close', () => {
      clearTimeout(timer);
      const text = (name: keyof typeof chunks) => Buffer.concat(chunks[name]).toString();
      const exitCode = exitCodeOf(text('error'));
      if (typeof exitCode === 'string') reject(new Error(`${what}: ${exitCode}`));
      else resolve({ stdout: text('stdout'), stderr: text('stderr'), exitCode });
    });
  });
}

function statusMessage(body: string): string | undefined {
  try {
    return (JSON.parse(body) as { message?: string }).message;
  } catch {
    return body.trim() || undefined;
  }
}

/** The Status on the error channel: success is 0, NonZeroExitCode carries the code, anything else is a failure to run. */
function exitCodeOf(text: string): number | string {
  if (text === '') return 'the connection ended before the command did';
  try {
    const status = JSON.parse(text) as { status?: string; reason?: string; message?: string; details?: { causes?: { reason?: string; message?: string }[] } };
    if (status.status === 'Success') return 0;
    const code = status.details?.causes?.find((cause) => cause.reason === 'ExitCode')?.message;
    return code !== undefined && status.reason === 'NonZeroExitCode' ? Number(code) : (status.message ?? text);
  } catch {
    return text;
  }
}
