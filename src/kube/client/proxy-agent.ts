/** Connections to an API server through an HTTP proxy (`proxy-url` of a kubeconfig). */
import { request as httpRequest, type ClientRequestArgs } from 'node:http';
import { Agent, request as httpsRequest, type AgentOptions } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect, type ConnectionOptions } from 'node:tls';

const CONNECT_TIMEOUT_MS = 10_000;

/** An agent whose TLS connections go through tunnels of the proxy. `user:password` of its URL are its credentials. */
export class ProxyAgent extends Agent {
  constructor(
    private readonly proxy: URL,
    options: AgentOptions,
  ) {
    super(options);
  }

  /** Called by node for every new connection. */
  override createConnection(wanted: ClientRequestArgs, callback?: (error: Error | null, stream: Duplex) => void): undefined {
    const options = wanted as ConnectionOptions & { readonly host?: string };
    const { proxy } = this;
    const target = `${options.host ?? ''}:${wanted.port ?? 443}`;
    const credentials = proxy.username === '' ? undefined : `Basic ${Buffer.from(`${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`).toString('base64')}`;
    const headers = { host: target, ...(credentials === undefined ? {} : { 'proxy-authorization': credentials }) };
    const open = proxy.protocol === 'https:' ? httpsRequest : httpRequest;
    const call = open({ host: proxy.hostname.replace(/^\[|\]$/g, ''), port: proxy.port || (proxy.protocol === 'https:' ? 443 : 80), method: 'CONNECT', path: target, headers, agent: false, timeout: CONNECT_TIMEOUT_MS });
    const connected = callback as ((error: Error | null, stream?: Duplex) => void) | undefined;
    const fail = (why: string): void => connected?.(new Error(`proxy ${proxy.host}: ${why}`));
    call.once('timeout', () => call.destroy(new Error('no answer')));
    call.once('error', (error) => fail(error.message));
    call.once('connect', (response, socket: Socket) => {
      if (response.statusCode === 200) {
        socket.setTimeout(0);
        connected?.(null, connect({ ...options, socket, servername: options.servername ?? options.host ?? '' }));
      } else {
        socket.destroy();
        fail(`it refused to connect to ${target}: ${response.statusCode} ${response.statusMessage}`);
      }
    });
    call.once('response', (response) => {
      response.resume();
      fail(`it refused to connect to ${target}: ${response.statusCode} ${response.statusMessage}`);
    });
    call.end();
    return undefined;
  }
}
