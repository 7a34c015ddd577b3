import { connectionAttributes, requestAttributes, type CheckedBody } from '../../authorization/attributes.ts';
import { checkByGrpc } from '../../authorization/grpc-check.ts';
import { FieldHeaders } from '../../http/field-headers.ts';
import type { RequestHead, ResponseHead } from '../../http/message.ts';
import { mergeMetadata } from '../dynamic-metadata.ts';
import { CONTINUE } from '../http-filter.ts';
import type { FilterContext, FilterVerdict, HttpFilter, HttpFilterFactory } from '../http-filter.ts';
import { parseExtAuthz, PER_ROUTE_TYPE, type ExtAuthzConfig, type ExtAuthzRouteConfig, type HttpTarget } from './config.ts';
import { applyChanges, judgeGrpc, judgeHttp, type HeaderChange, type Judgement } from './verdict.ts';

const NAME = 'envoy.filters.http.ext_authz';
/** A longer denial is no answer for a client. */
const MAX_RESPONSE_BYTES = 1024 * 1024;

/** Asks an external authorizer. @see https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/ext_authz_filter */
export const extAuthzFilter: HttpFilterFactory = {
  name: NAME,
  typeUrl: 'type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz',
  routeTypeUrl: PER_ROUTE_TYPE,
  parse: parseExtAuthz,
  create(config, routeConfig) {
    const route = routeConfig as ExtAuthzRouteConfig | undefined;
    return route?.disabled === true ? undefined : new ExtAuthzFilter(config as ExtAuthzConfig, route);
  },
};

class ExtAuthzFilter implements HttpFilter {
  /** Headers that an authorizer wants on the response of a request it allowed. */
  private readonly pending = new WeakMap<FilterContext, readonly HeaderChange[]>();

  constructor(private readonly config: ExtAuthzConfig, private readonly route: ExtAuthzRouteConfig | undefined) {}

  onRequest(head: RequestHead, context: FilterContext): FilterVerdict {
    const { config } = this;
    if (!config.enabledBy(context.metadata)) return CONTINUE;
    return {
      kind: 'wait',
      start: (resume) => {
        let over = false;
        let cancel = (): void => {};
        const ask = (body: CheckedBody | undefined): void => {
          cancel = this.check(head, context, body, (judgement) => resume(this.obey(judgement, head, context)));
        };
        const rule = this.route?.withoutBody === true ? undefined : config.body;
        if (rule === undefined) ask(undefined);
        else
          context.bodies.bufferRequest(rule.maxBytes, (whole) => {
            if (over) return;
            if (whole === undefined && !rule.allowPartial) resume({ kind: 'reply', reply: { status: 413, body: 'Payload Too Large', details: 'request_payload_too_large' } });
            else ask({ bytes: whole ?? context.bodies.requestPrefix(rule.maxBytes), complete: whole !== undefined, asBytes: rule.asBytes });
          });
        return () => {
          over = true;
          cancel();
        };
      },
    };
  }

  private check(head: RequestHead, context: FilterContext, body: CheckedBody | undefined, done: (judgement: Judgement) => void): () => void {
    const { service, shows, certificate, tlsSession } = this.config;
    if (service.kind === 'grpc') {
      const attributes = connectionAttributes(context.info, { certificate, tlsSession });
      attributes.request = requestAttributes(head, shows, body);
      Object.assign(attributes.contextExtensions, this.route?.contextExtensions);
      return checkByGrpc(service.target, context.sideCall, attributes, (response) => done(judgeGrpc(response)));
    }
    const { target } = service;
    return context.sideCall(
      { cluster: target.cluster, head: checkHead(head, shows, target, body), body: body?.bytes ?? Buffer.alloc(0), timeoutMs: target.timeoutMs, maxResponseBytes: MAX_RESPONSE_BYTES },
      (result) => done(judgeHttp(result, target)),
    );
  }

  private obey(judgement: Judgement, head: RequestHead, context: FilterContext): FilterVerdict {
    const { counters } = context.stats;
    const { config } = this;
    if (judgement.kind === 'denied') {
      counters['ext_authz.denied']++;
      return { kind: 'reply', reply: { status: judgement.status, body: judgement.body, details: 'ext_authz_denied', flag: 'UAEX', headers: judgement.headers } };
    }
    if (judgement.kind === 'error') {
      counters['ext_authz.error']++;
      if (!config.failureModeAllow) return { kind: 'reply', reply: { status: config.statusOnError, body: '', details: 'ext_authz_error', flag: 'UAEX' } };
      counters['ext_authz.failure_mode_allowed']++;
      if (config.failureModeAllowHeaderAdd) head.headers.set('x-envoy-auth-failure-mode-allowed', 'true');
      return CONTINUE;
    }
    counters['ext_authz.ok']++;
    this.allow(judgement, head, context);
    return CONTINUE;
  }

  private allow(judgement: Extract<Judgement, { kind: 'allowed' }>, head: RequestHead, context: FilterContext): void {
    const { request, remove, response, query, metadata } = judgement;
    changeRequest(head, request);
    for (const name of remove) if (!name.startsWith(':') && name !== 'host') head.headers.remove(name);
    if (query.size > 0) head.path = withQuery(head.path, query);
    if (metadata !== undefined) mergeMetadata(context.metadata, NAME, metadata);
    if (response.length > 0) this.pending.set(context, response);
    if (this.config.clearRouteCache && (request.length > 0 || remove.length > 0 || query.size > 0)) context.refreshRoute();
  }

  onResponse(head: ResponseHead, context: FilterContext): void {
    const changes = this.pending.get(context);
    if (changes !== undefined) applyChanges(head.headers, changes);
  }
}

/** The request that an HTTP authorizer judges: the same method, host and path, and the headers it may see. */
function checkHead(head: RequestHead, shows: (name: string) => boolean, target: HttpTarget, body: CheckedBody | undefined): RequestHead {
  const headers = new FieldHeaders();
  for (const [name, value] of head.headers.entries()) if (name !== 'content-length' && name !== 'transfer-encoding' && shows(name)) headers.append(name, value);
  headers.set('content-length', String(body?.bytes.length ?? 0));
  if (body !== undefined) headers.set('x-envoy-auth-partial-body', String(!body.complete));
  for (const [name, value] of target.headersToAdd) headers.set(name, value);
  return { method: head.method, path: target.pathPrefix + head.path, authority: head.authority, scheme: head.scheme, protocol: head.protocol, headers };
}

/** Pseudo headers are fields of the head. */
function changeRequest(head: RequestHead, changes: readonly HeaderChange[]): void {
  const plain = changes.filter(({ name, value }) => {
    if (name === ':path') head.path = value;
    else if (name === ':authority' || name === 'host') head.authority = value;
    else if (name === ':method') head.method = value;
    else if (name !== ':scheme') return true;
    return false;
  });
  applyChanges(head.headers, plain);
}

/** A path with parameters set, or taken out where the value is undefined. */
function withQuery(path: string, changes: ReadonlyMap<string, string | undefined>): string {
  const mark = path.indexOf('?');
  const pairs = mark < 0 ? [] : path.slice(mark + 1).split('&');
  const kept = pairs.filter((pair) => !changes.has(pair.split('=', 1)[0]!));
  for (const [name, value] of changes) if (value !== undefined) kept.push(`${encodeURIComponent(name)}=${encodeURIComponent(value)}`);
  return (mark < 0 ? path : path.slice(0, mark)) + (kept.length === 0 ? '' : `?${kept.join('&')}`);
}
