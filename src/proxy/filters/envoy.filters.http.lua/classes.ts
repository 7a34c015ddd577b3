/** What scripts can do: Envoy's Lua API. @see https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/lua_filter#stream-handle-api */
import { createPublicKey, verify, type KeyObject } from 'node:crypto';
import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import { messageOf } from '../../../base/errors.ts';
import { createLogger } from '../../../base/log.ts';
import type { HeaderMap, RequestHead, ResponseHead } from '../../http/message.ts';
import { FieldHeaders } from '../../http/field-headers.ts';
import type { PeerCertificate } from '../../io/connection.ts';
import type { FilterContext, LocalReply } from '../http-filter.ts';
import { mergeMetadata } from '../dynamic-metadata.ts';
import type { SideResult } from '../side-call.ts';
import type { LuaCall, LuaClasses, LuaMethod, LuaObject, LuaValue, LuaWait } from './script.ts';

const log = createLogger('lua');

/** Bodies a script may collect, as Envoy's default buffer limit. */
export const MAX_BODY_BYTES = 1_048_576;

/** The stream as one callback sees it. */
export interface HandleObject extends LuaObject {
  readonly kind: 'stream';
  readonly direction: 'request' | 'response';
  readonly context: FilterContext;
  readonly head: RequestHead | ResponseHead;
  /** Headers were changed: the route may be another. */
  changed: boolean;
  body: BodyObject | undefined;
  /** Set by `respond`. */
  reply: LocalReply | undefined;
  /** The body was longer than a script may have. */
  tooLarge: boolean;
}

interface HeadersObject extends LuaObject {
  readonly kind: 'headers';
  readonly headers: HeaderMap;
  /** Pseudo headers stand in the head itself. */
  readonly head: RequestHead | ResponseHead | undefined;
  readonly onChange: () => void;
}

interface BodyObject extends LuaObject {
  readonly kind: 'body';
  bytes: Buffer;
  readonly replace: (bytes: Buffer) => void;
}

interface InfoObject extends LuaObject {
  readonly kind: 'info' | 'connection' | 'dynamicMetadata';
  readonly context: FilterContext;
}

interface CertificateObject extends LuaObject {
  readonly kind: 'ssl';
  readonly peer: PeerCertificate | undefined;
  readonly tls: { readonly version: string; readonly localUriSan: string };
}

interface KeyHolder extends LuaObject {
  readonly kind: 'publicKey';
  readonly key: KeyObject;
}

const PSEUDO: ReadonlyMap<string, keyof RequestHead> = new Map([[':method', 'method'], [':path', 'path'], [':authority', 'authority'], [':scheme', 'scheme']]);

function pseudoOf(self: HeadersObject, name: string): string | undefined {
  const { head } = self;
  if (head === undefined) return undefined;
  if ('status' in head) return name === ':status' ? String(head.status) : undefined;
  const field = name === 'host' ? 'authority' : PSEUDO.get(name);
  return field === undefined ? undefined : (head[field] as string);
}

function setPseudo(self: HeadersObject, name: string, value: string): boolean {
  const { head } = self;
  if (head === undefined || (!name.startsWith(':') && name !== 'host')) return false;
  if ('status' in head) {
    if (name === ':status' && /^\d{3}$/.test(value)) head.status = Number(value);
    return true;
  }
  if (name === ':method') head.method = value;
  else if (name === ':path') head.path = value;
  else if (name === ':authority' || name === 'host') head.authority = value;
  else if (name === ':scheme' && (value === 'http' || value === 'https')) head.scheme = value;
  return true;
}

function nameOf(call: LuaCall): string {
  return (call.text(1) ?? call.fail('a header needs a name')).toLowerCase();
}

function valuesOf(self: HeadersObject, name: string): readonly string[] {
  const pseudo = pseudoOf(self, name);
  return pseudo === undefined ? self.headers.getAll(name) : [pseudo];
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;

function write(self: HeadersObject, call: LuaCall, replace: boolean): readonly LuaValue[] {
  const name = nameOf(call);
  const value = call.text(2) ?? call.fail('a header needs a value');
  self.onChange();
  if (setPseudo(self, name, value)) return [];
  if (!TOKEN.test(name)) call.fail(`"${name}" is no header name`);
  if (replace) self.headers.set(name, value);
  else self.headers.append(name, value);
  return [];
}

const HEADERS: Readonly<Record<string, LuaMethod<HeadersObject>>> = {
  get: (self, call) => {
    const values = valuesOf(self, nameOf(call));
    return [values.length === 0 ? null : values.join(',')];
  },
  getAtIndex: (self, call) => [valuesOf(self, nameOf(call))[call.number(2) ?? 0] ?? null],
  getNumValues: (self, call) => [valuesOf(self, nameOf(call)).length],
  add: (self, call) => write(self, call, false),
  replace: (self, call) => write(self, call, true),
  remove: (self, call) => {
    self.onChange();
    self.headers.remove(nameOf(call));
    return [];
  },
  setHttp1ReasonPhrase: () => [],
  __pairs: (self, call) => [call.iterator([...pseudoNames(self).map((name) => [name, pseudoOf(self, name)]), ...self.headers.entries()])],
};

function pseudoNames(self: HeadersObject): readonly string[] {
  if (self.head === undefined) return [];
  return 'status' in self.head ? [':status'] : [...PSEUDO.keys()];
}

const BODY: Readonly<Record<string, LuaMethod<BodyObject>>> = {
  length: (self) => [self.bytes.length],
  getBytes: (self, call) => {
    const start = call.number(1) ?? 0;
    const length = call.number(2) ?? self.bytes.length;
    if (start < 0 || length < 0 || start + length > self.bytes.length) call.fail('index/length must be >= 0 and (index + length) must be <= buffer size');
    return [self.bytes.subarray(start, start + length)];
  },
  setBytes: (self, call) => {
    self.bytes = call.bytes(1) ?? call.fail('setBytes needs a string');
    self.replace(self.bytes);
    return [self.bytes.length];
  },
};

/** Collects the body: `done` gets it as an object, or nothing when the message has none. */
function collect(self: HandleObject, done: (body: BodyObject | undefined) => void): void {
  const { bodies } = self.context;
  const request = self.direction === 'request';
  if (self.body !== undefined || !(request ? bodies.requestHasBody : bodies.responseHasBody)) {
    done(self.body);
    return;
  }
  const take = (bytes: Buffer | undefined): void => {
    if (bytes === undefined) {
      self.tooLarge = true;
      done(undefined);
      return;
    }
    const replace = (changed: Buffer): void => {
      if (request) bodies.replaceRequest(changed);
      else bodies.replaceResponse(changed);
      self.head.headers.remove('transfer-encoding');
      self.head.headers.set('content-length', String(changed.length));
    };
    self.body = bytes.length === 0 ? undefined : { kind: 'body', bytes, replace };
    done(self.body);
  };
  if (request) bodies.bufferRequest(MAX_BODY_BYTES, take);
  else bodies.bufferResponse(MAX_BODY_BYTES, take);
}

function headersOf(table: ReadonlyMap<string, string | readonly string[]>): FieldHeaders {
  const headers = new FieldHeaders();
  for (const [name, value] of table) {
    const lower = name.toLowerCase();
    if (!lower.startsWith(':') && TOKEN.test(lower)) for (const entry of typeof value === 'string' ? [value] : value) headers.append(lower, entry);
  }
  return headers;
}

function httpCall(self: HandleObject, call: LuaCall): readonly LuaValue[] | LuaWait {
  const cluster = call.text(1) ?? call.fail('httpCall needs a cluster');
  const table = call.table(2) ?? call.fail('httpCall needs headers');
  const body = call.bytes(3) ?? Buffer.alloc(0);
  const timeoutMs = call.number(4) ?? 0;
  const one = (name: string): string => {
    const value = table.get(name);
    return typeof value === 'string' ? value : '';
  };
  if (!one(':method') || !one(':path') || !one(':authority')) call.fail("http call headers must include ':path', ':method', and ':authority'");
  const headers = headersOf(table);
  headers.set('content-length', String(body.length));
  const head: RequestHead = { method: one(':method'), path: one(':path'), authority: one(':authority'), scheme: 'http', protocol: 'HTTP/1.1', headers };
  const request = { cluster, head, body, timeoutMs: timeoutMs > 0 ? timeoutMs : 0x7fffffff, maxResponseBytes: MAX_BODY_BYTES };
  // Fire and forget, as the fifth argument asks.
  if (call.boolean(5)) {
    self.context.sideCall(request, () => {});
    return [];
  }
  return { wait: (resume) => void self.context.sideCall(request, (result) => resume(answerOf(result))) };
}

/** What cannot be reached answers as Envoy's own client does. */
function answerOf(result: SideResult): readonly LuaValue[] {
  if (result.kind === 'failure') return result.reason === 'timeout' ? [new Map([[':status', '504']]), 'upstream request timeout'] : [new Map([[':status', '503']]), 'upstream connect error or disconnect/reset before headers'];
  const headers = new Map<string, LuaValue>([[':status', String(result.head.status)]]);
  for (const [name, value] of result.head.headers.entries()) headers.set(name, headers.has(name) ? `${String(headers.get(name))},${value}` : value);
  return [headers, result.body.length === 0 ? null : result.body];
}

function respond(self: HandleObject, call: LuaCall): LuaWait {
  const table = call.table(1) ?? call.fail('respond needs headers');
  const status = Number(table.get(':status'));
  if (!Number.isInteger(status) || status < 200 || status > 599) call.fail(':status must be between 200-599');
  self.reply = { status, body: call.text(2) ?? '', details: 'lua_response', headers: [...headersOf(table).entries()] };
  // The script ends here.
  return { wait: () => {} };
}

function trailersOf(self: HandleObject): HeadersObject | undefined {
  const { bodies } = self.context;
  const trailers = self.direction === 'request' ? bodies.requestTrailers : bodies.responseTrailers;
  return trailers && { kind: 'headers', headers: trailers, head: undefined, onChange: () => {} };
}

const logAt = (level: 'debug' | 'info' | 'warn' | 'error'): LuaMethod<HandleObject> => (_, call) => {
  log[level](`script log: ${call.text(1) ?? ''}`);
  return [];
};

const STREAM: Readonly<Record<string, LuaMethod<HandleObject>>> = {
  headers: (self) => [{ kind: 'headers', headers: self.head.headers, head: self.head, onChange: () => void (self.changed = true) } satisfies HeadersObject],
  body: (self, call) => {
    const always = call.boolean(1);
    return { wait: (resume) => collect(self, (body) => resume([body ?? (always ? ({ kind: 'body', bytes: Buffer.alloc(0), replace: () => {} } satisfies BodyObject) : null)])) };
  },
  // The chunks are one: it comes when the body is complete.
  bodyChunks: (self, call) => ({ wait: (resume) => collect(self, (body) => resume([call.iterator(body ? [[body]] : [])])) }),
  trailers: (self) => ({ wait: (resume) => collect(self, () => resume([trailersOf(self) ?? null])) }),
  metadata: () => [{ kind: 'metadata' }],
  streamInfo: (self) => [{ kind: 'info', context: self.context } satisfies InfoObject],
  connection: (self) => [{ kind: 'connection', context: self.context } satisfies InfoObject],
  httpCall,
  respond: (self, call) => (self.direction === 'request' ? respond(self, call) : call.fail('respond not currently supported in the response path')),
  clearRouteCache: (self) => {
    self.context.refreshRoute();
    return [];
  },
  logTrace: logAt('debug'),
  logDebug: logAt('debug'),
  logInfo: logAt('info'),
  logWarn: logAt('warn'),
  logErr: logAt('error'),
  logCritical: logAt('error'),
  base64Escape: (_, call) => [(call.bytes(1) ?? Buffer.alloc(0)).toString('base64')],
  timestamp: (_, call) => [call.number(1) === 1 ? Date.now() * 1000 : Date.now()],
  timestampString: (_, call) => [String(call.number(1) === 1 ? Date.now() * 1000 : Date.now())],
  importPublicKey: (_, call) => {
    try {
      return [{ kind: 'publicKey', key: createPublicKey({ key: call.bytes(1) ?? Buffer.alloc(0), format: 'der', type: 'spki' }) } satisfies KeyHolder];
    } catch {
      return [null];
    }
  },
  verifySignature: (_, call) => verifySignature(call),
};

function verifySignature(call: LuaCall): readonly LuaValue[] {
  const holder = call.object(2);
  const data = call.bytes(5)?.subarray(0, call.number(6));
  const signature = call.bytes(3)?.subarray(0, call.number(4));
  if (holder?.kind !== 'publicKey' || data === undefined || signature === undefined) return [false, 'verifySignature needs a key, a signature and data'];
  try {
    const valid = verify(call.text(1) ?? 'sha256', data, (holder as KeyHolder).key, signature);
    return valid ? [true, ''] : [false, 'Failed to verify digest'];
  } catch (thrown) {
    return [false, messageOf(thrown)];
  }
}

const INFO: Readonly<Record<string, LuaMethod<InfoObject>>> = {
  protocol: (self) => [self.context.downstreamProtocol],
  routeName: (self) => [self.context.known().routeName],
  virtualClusterName: () => [''],
  downstreamLocalAddress: (self) => [self.context.info.localAddress],
  downstreamDirectLocalAddress: (self) => [self.context.info.localAddress],
  downstreamDirectRemoteAddress: (self) => [self.context.info.remoteAddress],
  downstreamRemoteAddress: (self) => [self.context.known().downstreamRemoteAddress],
  requestedServerName: (self) => [self.context.info.serverName],
  downstreamSslConnection: (self) => [sslOf(self.context) ?? null],
  dynamicMetadata: (self) => [{ kind: 'dynamicMetadata', context: self.context } satisfies InfoObject],
};

function luaOf(value: JsonValue | undefined): LuaValue {
  if (value === undefined || value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(luaOf);
  return new Map(Object.entries(value).map(([key, entry]) => [key, luaOf(entry)]));
}

const DYNAMIC_METADATA: Readonly<Record<string, LuaMethod<InfoObject>>> = {
  get: (self, call) => [luaOf(self.context.metadata.get(call.text(1) ?? ''))],
  set: (self, call) => {
    const filter = call.text(1) ?? call.fail('set needs the name of a filter');
    const key = call.text(2) ?? call.fail('set needs a key');
    const table = call.table(3);
    const value: JsonValue = table ? (Object.fromEntries(table) as JsonObject) : (call.number(3) ?? call.text(3) ?? call.boolean(3));
    mergeMetadata(self.context.metadata, filter, { [key]: value });
    return [];
  },
  __pairs: (self, call) => [call.iterator([...self.context.metadata].map(([name, value]) => [name, luaOf(value)]))],
};

function sslOf(context: FilterContext): CertificateObject | undefined {
  const { tls } = context.info.connection;
  return tls && { kind: 'ssl', peer: tls.peer, tls: { version: tls.version, localUriSan: tls.localUriSan } };
}

const SSL: Readonly<Record<string, LuaMethod<CertificateObject>>> = {
  peerCertificatePresented: (self) => [self.peer !== undefined],
  peerCertificateValidated: (self) => [self.peer !== undefined],
  uriSanPeerCertificate: (self) => [self.peer?.uriSans ?? []],
  dnsSansPeerCertificate: (self) => [self.peer?.dnsSans ?? []],
  uriSanLocalCertificate: (self) => [self.tls.localUriSan === '' ? [] : [self.tls.localUriSan]],
  subjectPeerCertificate: (self) => [self.peer?.subject ?? ''],
  sha256PeerCertificateDigest: (self) => [self.peer?.sha256 ?? ''],
  urlEncodedPemEncodedPeerCertificate: (self) => [self.peer ? encodeURIComponent(self.peer.pem()) : ''],
  tlsVersion: (self) => [self.tls.version],
};

/** By the kind of the object that a method is called on. */
export const CLASSES: LuaClasses = {
  stream: STREAM,
  headers: HEADERS,
  body: BODY,
  metadata: { get: () => [null], __pairs: (_: LuaObject, call: LuaCall) => [call.iterator([])] },
  info: INFO,
  dynamicMetadata: DYNAMIC_METADATA,
  connection: { ssl: (self: InfoObject) => [sslOf(self.context) ?? null] },
  ssl: SSL,
  publicKey: { get: (self: LuaObject) => [self] },
};
