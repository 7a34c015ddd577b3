/** The Kubernetes API over HTTPS (or plain HTTP) with one pool of kept-alive connections. */
import { Agent as HttpAgent, request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest, type AgentOptions } from 'node:https';
import { messageOf } from '../../base/errors.ts';
import { apiVersionOf, type ResourceType } from '../../objects/kind.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { ApiError, type DeleteOptions, type KubeClient, type ListOptions, type ListResult, type WatchEvent, type WriteOptions } from './client.ts';
import type { ClusterAccess } from './kube-config.ts';
import { ProxyAgent } from './proxy-agent.ts';
import { listQuery, queryText, resourcePath, writeQuery } from './resource-path.ts';
import type { Credentials } from './user-credentials.ts';
import { watchEvents } from './watch-stream.ts';

export interface HttpsClientOptions {
  /** Of everything but watches. Default 30 000. */
  readonly timeoutMs?: number;
  /** Largest answer that is read. Default 256 MiB. */
  readonly maxResponseBytes?: number;
  readonly userAgent?: string;
  /** Objects of one page of a list. Default 500. */
  readonly pageSize?: number;
  /** After which the server ends a watch by itself, a random part less. Default 600 s. */
  readonly watchSeconds?: number;
}

/** A {@link KubeClient} with what only a connection can do. */
export interface HttpsKubeClient extends KubeClient {
  /** Any request; the answer's body as text. Rejects with {@link ApiError} for a refusal. */
  raw(method: string, path: string, body?: unknown, contentType?: string): Promise<string>;
  /** Any GET whose answer is read as it comes (logs). */
  stream(path: string, signal: AbortSignal): Promise<IncomingMessage>;
  /** Closes idle connections; requests under way end first. */
  close(): void;
}

/** Opens a client; no connection is made before the first request. */
export function createHttpsClient(access: ClusterAccess, options: HttpsClientOptions = {}): HttpsKubeClient {
  return new HttpsClient(access, options);
}

interface Call {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly signal?: AbortSignal;
  /** Streams are not timed out. */
  readonly streaming?: boolean;
}

class HttpsClient implements HttpsKubeClient {
  private agent: HttpsAgent | HttpAgent | undefined;
  private agentCertPem: string | undefined;

  constructor(
    private readonly access: ClusterAccess,
    private readonly options: HttpsClientOptions,
  ) {}

  async get<T extends KubeObject>(type: ResourceType, name: string, namespace?: string): Promise<T | undefined> {
    try {
      return await this.json<T>({ method: 'GET', path: resourcePath(type, this.namespaceOf(type, namespace), name) });
    } catch (thrown) {
      if (thrown instanceof ApiError && thrown.code === 404 && thrown.reason === 'NotFound') return undefined;
      throw thrown;
    }
  }

  async list<T extends KubeObject>(type: ResourceType, options: ListOptions = {}): Promise<ListResult<T>> {
    const items: T[] = [];
    let resourceVersion = '';
    let next = '';
    do {
      const page = await this.page<T>(type, options, next);
      // The history was gone before the last page: all of it at once cannot grow old.
      if (page === undefined) {
        const whole = await this.page<T>(type, options);
        return { items: whole?.items ?? [], resourceVersion: whole?.resourceVersion ?? '' };
      }
      for (const item of page.items) items.push(item);
      ({ resourceVersion, next } = page);
    } while (next !== '');
    return { items, resourceVersion };
  }

  /** One page of a list, or the whole list when `from` is absent; undefined when the page's version is too old. */
  private async page<T extends KubeObject>(type: ResourceType, options: ListOptions, from?: string): Promise<{ readonly items: readonly T[]; readonly resourceVersion: string; readonly next: string } | undefined> {
    const paging = from === undefined ? {} : { limit: String(this.options.pageSize ?? 500), continue: from === '' ? undefined : from };
    const path = resourcePath(type, options.namespace) + queryText({ ...listQuery(options), ...paging });
    try {
      const body = await this.json<{ readonly items?: readonly T[] | null; readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string } }>({ method: 'GET', path });
      // Items of built-in kinds come without apiVersion and kind.
      const items = (body.items ?? []).map((item) => (item.kind ? item : { ...item, apiVersion: apiVersionOf(type), kind: type.kind }));
      return { items, resourceVersion: body.metadata?.resourceVersion ?? '', next: body.metadata?.continue ?? '' };
    } catch (thrown) {
      if (from && thrown instanceof ApiError && thrown.code === 410) return undefined;
      throw thrown;
    }
  }

  async *watch<T extends KubeObject>(type: ResourceType, options: ListOptions & { readonly resourceVersion: string; readonly signal: AbortSignal }): AsyncIterable<WatchEvent<T>> {
    const { signal, resourceVersion } = options;
    const seconds = Math.round((this.options.watchSeconds ?? 600) * (0.5 + Math.random() / 2));
    const query = queryText({ ...listQuery(options), watch: 'true', allowWatchBookmarks: 'true', resourceVersion, timeoutSeconds: String(seconds) });
    try {
      const response = await this.open({ method: 'GET', path: resourcePath(type, options.namespace) + query, signal, streaming: true });
      yield* watchEvents<T>(response, this.maxBytes);
    } catch (thrown) {
      if (signal.aborted) return;
      throw thrown;
    }
  }

  create<T extends KubeObject>(type: ResourceType, object: T, options?: WriteOptions): Promise<T> {
    const named = options?.subresource === undefined ? undefined : object.metadata.name;
    return this.write('POST', type, object, named, options);
  }

  update<T extends KubeObject>(type: ResourceType, object: T, options?: WriteOptions): Promise<T> {
    return this.write('PUT', type, object, object.metadata.name, options);
  }

  mergePatch<T extends KubeObject>(type: ResourceType, name: string, namespace: string | undefined, patch: unknown, options?: WriteOptions): Promise<T> {
    const path = resourcePath(type, this.namespaceOf(type, namespace), name, options?.subresource) + queryText(writeQuery(options));
    return this.json<T>({ method: 'PATCH', path, body: patch, contentType: 'application/merge-patch+json' });
  }

  apply<T extends KubeObject>(type: ResourceType, object: T, options: WriteOptions & { readonly fieldManager: string }): Promise<T> {
    const { managedFields: _, ...metadata } = object.metadata;
    const path = resourcePath(type, this.namespaceOf(type, metadata.namespace), metadata.name, options.subresource);
    const body = { ...object, metadata };
    return this.json<T>({ method: 'PATCH', path: path + queryText({ ...writeQuery(options), force: 'true' }), body, contentType: 'application/apply-patch+yaml' });
  }

  async delete(type: ResourceType, name: string, namespace?: string, options: DeleteOptions = {}): Promise<void> {
    const body = { kind: 'DeleteOptions', apiVersion: 'v1', ...options };
    try {
      await this.json({ method: 'DELETE', path: resourcePath(type, this.namespaceOf(type, namespace), name), body });
    } catch (thrown) {
      if (!(thrown instanceof ApiError && thrown.code === 404)) throw thrown;
    }
  }

  post<T>(path: string, body: unknown): Promise<T> {
    return this.json<T>({ method: 'POST', path, body });
  }

  async raw(method: string, path: string, body?: unknown, contentType?: string): Promise<string> {
    const response = await this.open({ method, path, ...(body === undefined ? {} : { body }), ...(contentType === undefined ? {} : { contentType }) });
    return readText(response, this.maxBytes);
  }

  stream(path: string, signal: AbortSignal): Promise<IncomingMessage> {
    return this.open({ method: 'GET', path, signal, streaming: true });
  }

  close(): void {
    this.agent?.destroy();
    this.agent = undefined;
  }

  private get maxBytes(): number {
    return this.options.maxResponseBytes ?? 256 << 20;
  }

  private namespaceOf(type: ResourceType, namespace: string | undefined): string | undefined {
    return type.namespaced ? (namespace ?? this.access.namespace) : undefined;
  }

  private write<T extends KubeObject>(method: string, type: ResourceType, object: T, name: string | undefined, options: WriteOptions | undefined): Promise<T> {
    const path = resourcePath(type, this.namespaceOf(type, object.metadata.namespace), name, options?.subresource) + queryText(writeQuery(options));
    return this.json<T>({ method, path, body: object });
  }

  private async json<T>(call: Call): Promise<T> {
    const response = await this.open(call);
    const text = await readText(response, this.maxBytes);
    try {
      return JSON.parse(text) as T;
    } catch {
      throw new Error(`the Kubernetes API at ${this.access.server} answered ${call.method} ${call.path} with something that is not JSON`);
    }
  }

  /** The answer to a call once its status is known to be good. A 401 is tried once more with fresh credentials. */
  private async open(call: Call): Promise<IncomingMessage> {
    const first = await this.send(call, await this.access.credentials());
    const response = first.statusCode === 401 ? await this.again(first, call) : first;
    const status = response.statusCode ?? 0;
    if (status >= 200 && status < 300) return response;
    throw refusal(status, await readText(response, 1 << 20), call);
  }

  private async again(first: IncomingMessage, call: Call): Promise<IncomingMessage> {
    first.resume();
    return this.send(call, await this.access.credentials(true));
  }

  private async send(call: Call, credentials: Credentials): Promise<IncomingMessage> {
    try {
      return await this.sendOnce(call, credentials);
    } catch (thrown) {
      // The server closed a kept-alive connection just as we used it; creating twice would not be harmless.
      if (!(thrown instanceof StaleConnection)) throw thrown;
      if (call.method === 'POST') throw thrown.unreachable;
      return this.sendOnce(call, credentials);
    }
  }

  private sendOnce(call: Call, credentials: Credentials): Promise<IncomingMessage> {
    const url = new URL(this.access.server + call.path);
    const body = call.body === undefined ? undefined : Buffer.from(JSON.stringify(call.body));
    const headers = {
      ...this.access.impersonation,
      accept: 'application/json',
      'user-agent': this.options.userAgent ?? 'meltemi',
      ...(credentials.authorization === undefined ? {} : { authorization: credentials.authorization }),
      ...(body === undefined ? {} : { 'content-type': call.contentType ?? 'application/json', 'content-length': String(body.length) }),
    };
    return new Promise((resolve, reject) => {
      const send = url.protocol === 'http:' ? httpRequest : httpsRequest;
      const request: ClientRequest = send(url, { method: call.method, headers, agent: this.agentFor(url, credentials), ...(call.signal ? { signal: call.signal } : {}) });
      const timeoutMs = this.options.timeoutMs ?? 30_000;
      const timer = setTimeout(() => request.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
      request.on('response', (response) => {
        // A stream may go on for ever once it has begun; anything else must also end in time.
        if (call.streaming) clearTimeout(timer);
        else response.once('close', () => clearTimeout(timer));
        resolve(response);
      });
      request.on('error', (error: NodeJS.ErrnoException) => {
        clearTimeout(timer);
        const unreachable = new Error(`cannot reach the Kubernetes API at ${this.access.server}: ${messageOf(error)}`, { cause: error });
        reject(request.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE') ? new StaleConnection(unreachable) : unreachable);
      });
      request.end(body);
    });
  }

  private agentFor(url: URL, credentials: Credentials): HttpsAgent | HttpAgent {
    if (this.agent && this.agentCertPem === credentials.certPem) return this.agent;
    this.agent?.destroy();
    this.agentCertPem = credentials.certPem;
    const keepAlive = { keepAlive: true, keepAliveMsecs: 30_000, maxFreeSockets: 4 };
    const { caPem, serverName, insecureSkipVerify, proxyUrl } = this.access;
    const options: AgentOptions = {
      ...keepAlive,
      minVersion: 'TLSv1.2',
      rejectUnauthorized: insecureSkipVerify !== true,
      ...(caPem === undefined ? {} : { ca: caPem }),
      ...(serverName === undefined ? {} : { servername: serverName }),
      ...(credentials.certPem === undefined ? {} : { cert: credentials.certPem, key: credentials.keyPem ?? '' }),
    };
    if (url.protocol === 'http:') this.agent = new HttpAgent(keepAlive);
    else this.agent = proxyUrl === undefined ? new HttpsAgent(options) : new ProxyAgent(new URL(proxyUrl), options);
    return this.agent;
  }
}

class StaleConnection extends Error {
  constructor(readonly unreachable: Error) {
    super('stale connection');
  }
}

async function readText(response: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new Error(`the answer of the Kubernetes API is larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function refusal(status: number, text: string, call: Call): ApiError {
  try {
    const body = JSON.parse(text) as { readonly kind?: string; readonly reason?: string; readonly message?: string; readonly details?: unknown };
    if (body.kind === 'Status') return new ApiError(status, body.reason ?? '', body.message ?? text, body.details);
  } catch {
    // Not a Status: something before the API server answered.
  }
  return new ApiError(status, '', `${call.method} ${call.path}: HTTP ${status}: ${text.slice(0, 500).trim()}`);
}
