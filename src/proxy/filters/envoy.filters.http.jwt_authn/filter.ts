import type { RequestHead } from '../../http/message.ts';
import { mergeMetadata } from '../dynamic-metadata.ts';
import { CONTINUE } from '../http-filter.ts';
import type { FilterContext, FilterVerdict, HttpFilter, HttpFilterFactory } from '../http-filter.ts';
import { parseJwtAuthn, PER_ROUTE_TYPE, type JwtConfig, type JwtRouteConfig } from './config.ts';
import { Check, MISSING } from './requirement.ts';

const NAME = 'envoy.filters.http.jwt_authn';
/** A longer URI is cut in the challenge. */
const MAX_URI = 256;

/** Checks tokens and leaves their claims for the filters behind. @see https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/jwt_authn_filter */
export const jwtAuthnFilter: HttpFilterFactory = {
  name: NAME,
  typeUrl: 'type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication',
  routeTypeUrl: PER_ROUTE_TYPE,
  parse: parseJwtAuthn,
  create(config, routeConfig) {
    const route = routeConfig as JwtRouteConfig | undefined;
    return route?.disabled === true ? undefined : new JwtAuthnFilter(config as JwtConfig, route?.requirementName ?? '');
  },
};

class JwtAuthnFilter implements HttpFilter {
  constructor(private readonly config: JwtConfig, private readonly requirementName: string) {}

  onRequest(head: RequestHead, context: FilterContext): FilterVerdict {
    const { config } = this;
    const { counters } = context.stats;
    if (config.bypassCorsPreflight && isPreflight(head)) {
      counters['jwt_authn.cors_preflight_bypassed']++;
      return CONTINUE;
    }
    for (const name of config.ownHeaders) head.headers.remove(name);
    const requirement = this.requirementName === '' ? config.rules.find(({ matches }) => matches(head))?.requirement : config.named.get(this.requirementName);
    if (requirement === undefined) return CONTINUE;
    const check = new Check(head, Date.now() / 1000);
    const outcome = requirement(check);
    if (outcome !== 'ok') {
      counters['jwt_authn.denied']++;
      return refusal(outcome, head, config.stripFailureResponse);
    }
    counters['jwt_authn.allowed']++;
    check.finish();
    if (Object.keys(check.metadata).length > 0) mergeMetadata(context.metadata, NAME, check.metadata);
    if (check.clearsRoute) context.refreshRoute();
    return CONTINUE;
  }
}

function refusal(reason: string, head: RequestHead, strip: boolean): FilterVerdict {
  const uri = `${head.scheme}://${head.authority}${head.path.slice(0, MAX_URI)}`;
  const challenge = `Bearer realm="${uri.replaceAll('"', '%22')}"${reason === MISSING ? '' : ', error="invalid_token"'}`;
  return {
    kind: 'reply',
    reply: {
      status: reason === 'Audiences in Jwt are not allowed' ? 403 : 401, body: strip ? '' : reason, details: `jwt_authn_access_denied{${reason.replaceAll(' ', '_')}}`,
      headers: strip ? [] : [['www-authenticate', challenge]],
    },
  };
}

function isPreflight(head: RequestHead): boolean {
  return head.method === 'OPTIONS' && (head.headers.get('origin') ?? '') !== '' && (head.headers.get('access-control-request-method') ?? '') !== '';
}
