/** Rate limit actions of routes: what a request is counted as. */
import type { RateLimit, RateLimit_Action, RateLimit_Action_HeaderValueMatch } from '../../xds/gen/envoy/config/route/v3/route_components_pb.ts';
import { eachWithin } from '../config/config-error.ts';
import type { RequestHead } from '../http/message.ts';
import { compileHeaderMatcher, compileQueryMatcher, parseQuery, requestHeaderSource } from './header-match.ts';

/** What actions know of a request. */
export interface RateLimitInput {
  readonly head: RequestHead;
  readonly sourceIp: string;
  readonly destinationCluster: string;
  /** Cluster of our own node (`--service-cluster`). */
  readonly sourceCluster: string;
}

export interface DescriptorEntry {
  readonly key: string;
  readonly value: string;
}

/** One `rate_limits` entry of a route. */
export interface RouteRateLimit {
  readonly stage: number;
  /** The request's descriptor, undefined when one of the actions has nothing to say of it. */
  readonly descriptor: (input: RateLimitInput) => readonly DescriptorEntry[] | undefined;
}

/** `skip`: the descriptor goes on without this entry. */
type Action = (input: RateLimitInput) => DescriptorEntry | 'skip' | undefined;

/** Throws ConfigError for actions that are not understood. @see envoy.config.route.v3.RateLimit */
export function compileRateLimits(limits: readonly RateLimit[]): readonly RouteRateLimit[] {
  return eachWithin('rate_limits', limits, (limit): RouteRateLimit => {
    const actions = eachWithin('actions', limit.actions, compileAction);
    return {
      stage: limit.stage ?? 0,
      descriptor: (input) => {
        const entries: DescriptorEntry[] = [];
        for (const action of actions) {
          const entry = action(input);
          if (entry === undefined) return undefined;
          if (entry !== 'skip') entries.push(entry);
        }
        return entries;
      },
    };
  });
}

function compileAction({ actionSpecifier: action }: RateLimit_Action): Action {
  switch (action.case) {
    case 'sourceCluster': return ({ sourceCluster }) => ({ key: 'source_cluster', value: sourceCluster });
    case 'destinationCluster': return ({ destinationCluster }) => ({ key: 'destination_cluster', value: destinationCluster });
    case 'remoteAddress': return ({ sourceIp }) => ({ key: 'remote_address', value: sourceIp });
    case 'genericKey': {
      const entry = { key: action.value.descriptorKey || 'generic_key', value: action.value.descriptorValue };
      return () => entry;
    }
    case 'requestHeaders': {
      const { headerName, descriptorKey: key, skipIfAbsent } = action.value;
      const name = headerName.toLowerCase();
      return ({ head }) => {
        const values = requestHeaderSource(head)(name);
        if (values.length > 0) return { key, value: values.join(',') };
        return skipIfAbsent ? 'skip' : undefined;
      };
    }
    case 'headerValueMatch': return headerMatch(action.value);
    case 'queryParameterValueMatch': {
      const { descriptorKey, descriptorValue, expectMatch, queryParameters } = action.value;
      const matchers = queryParameters.map(compileQueryMatcher);
      const entry = { key: descriptorKey || 'query_match', value: descriptorValue };
      return ({ head }) => {
        const query = parseQuery(head.path);
        return matchers.every((matches) => matches(query)) === (expectMatch ?? true) ? entry : undefined;
      };
    }
    default:
      throw new Error(`${action.case ?? 'an empty action'} is not supported`);
  }
}

function headerMatch({ descriptorKey, descriptorValue, expectMatch, headers }: RateLimit_Action_HeaderValueMatch): Action {
  const matchers = headers.map(compileHeaderMatcher);
  const entry = { key: descriptorKey || 'header_match', value: descriptorValue };
  return ({ head }) => {
    const source = requestHeaderSource(head);
    return matchers.every((matches) => matches(source)) === (expectMatch ?? true) ? entry : undefined;
  };
}
