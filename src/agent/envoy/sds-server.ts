// SDS for Envoy: secrets of the agent over a Unix socket, state of the world and delta.
import { create } from '@bufbuild/protobuf';
import { createLogger } from '../../base/log.ts';
import { TYPE_URL, type EncodedResource } from '../../xds/ads.ts';
import { encodeResource } from '../../xds/codec.ts';
import { SecretSchema } from '../../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts';
import type { SecretSource, TlsSecret } from '../../xds/secret-source.ts';
import { decodeRequest, encodeResponse, type IncomingRequest } from '../../xds/wire.ts';
import { serveGrpcSocket, type CallHandler, type SocketCall } from './grpc-socket-server.ts';

const log = createLogger('sds');
const SERVICE = '/envoy.service.secret.v3.SecretDiscoveryService';

/** Serves `SecretDiscoveryService` at `path`. */
export function openSdsServer(path: string, source: SecretSource): Promise<{ close(): void }> {
  return serveGrpcSocket(path, new Map([
    [`${SERVICE}/StreamSecrets`, (call) => new SecretStream('sotw', call, source)],
    [`${SERVICE}/DeltaSecrets`, (call) => new SecretStream('delta', call, source)],
  ]));
}

/** One stream: the names it wants, and what it has been told of each. */
class SecretStream implements CallHandler {
  private readonly wanted = new Map<string, { stop: () => void; current: EncodedResource | undefined; sent: string | undefined }>();
  private nonce = 0;

  constructor(private readonly mode: 'sotw' | 'delta', private readonly call: SocketCall, private readonly source: SecretSource) {}

  onMessage(message: Buffer): void {
    let request: IncomingRequest;
    try {
      request = decodeRequest(this.mode, message);
    } catch (thrown) {
      return this.call.end(3, `unreadable request: ${String(thrown)}`);
    }
    if (request.error !== undefined) log.warn('the proxy refuses a secret', { names: request.names, error: request.error });
    const fresh = request.names.filter((name) => !this.wanted.has(name));
    const gone = this.mode === 'delta' ? request.unsubscribe : [...this.wanted.keys()].filter((name) => !request.names.includes(name));
    for (const name of gone) {
      this.wanted.get(name)?.stop();
      this.wanted.delete(name);
    }
    for (const name of fresh) this.want(name);
  }

  onEnd(): void {
    for (const { stop } of this.wanted.values()) stop();
    this.wanted.clear();
    this.call.end(0);
  }

  private want(name: string): void {
    const entry: { stop: () => void; current: EncodedResource | undefined; sent: string | undefined } = { stop: () => {}, current: undefined, sent: undefined };
    this.wanted.set(name, entry);
    // The source may call back before `watch` returns.
    entry.stop = this.source.watch(name, (secret) => {
      entry.current = encodeSecret({ ...secret, name });
      this.push();
    });
  }

  /** State of the world repeats what is known; delta sends what changed. */
  private push(): void {
    const entries = [...this.wanted.values()].filter((entry): entry is typeof entry & { current: EncodedResource } => entry.current !== undefined);
    const changed = entries.filter((entry) => entry.sent !== entry.current.version);
    if (changed.length === 0) return;
    for (const entry of changed) entry.sent = entry.current.version;
    const resources = (this.mode === 'sotw' ? entries : changed).map((entry) => entry.current);
    this.nonce++;
    this.call.send(encodeResponse(this.mode, { typeUrl: TYPE_URL.secret, nonce: String(this.nonce), version: `${Date.now()}-${this.nonce}`, resources, removed: [] }));
  }
}

/** A secret as Envoy's message, contents inline. */
export function encodeSecret(secret: TlsSecret): EncodedResource {
  const inline = (pem: string) => ({ specifier: { case: 'inlineBytes' as const, value: Buffer.from(pem) } });
  return encodeResource(
    create(SecretSchema, {
      name: secret.name,
      type: secret.kind === 'certificate'
        ? { case: 'tlsCertificate', value: { certificateChain: inline(secret.certificateChainPem), privateKey: inline(secret.privateKeyPem) } }
        : { case: 'validationContext', value: { trustedCa: inline(secret.trustedCaPem), ...(secret.crlPem && { crl: inline(secret.crlPem) }) } },
    }),
  );
}
