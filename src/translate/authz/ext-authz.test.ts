import { describe, expect, it } from 'vitest';
import type { ExtAuthzProvider } from '../../model/ext-authz-provider.ts';
import { findAuthorizer } from './ext-authz.ts';

const provider = (service: string): ExtAuthzProvider => ({
  name: 'ask', protocol: 'grpc', service, port: 9000, timeoutMs: 1000, failOpen: false, statusOnError: undefined, clearRouteCache: false, body: undefined, pathPrefix: '',
  headersInCheck: [], additionalHeaders: [], headersToUpstreamOnAllow: [], headersToDownstreamOnAllow: [], headersToDownstreamOnDeny: [], problem: undefined,
});
const services = [{ hostname: 'one.example', namespace: 'a' }, { hostname: 'two.example', namespace: 'a' }, { hostname: 'two.example', namespace: 'b' }];

describe('findAuthorizer', () => {
  it.each([
    ['one.example', 'outbound|9000||one.example'],
    ['a/two.example', 'outbound|9000||two.example'],
    ['two.example', undefined],
    ['b/one.example', undefined],
    ['*.example', undefined],
  ])('finds %s', (service, cluster) => expect(findAuthorizer('ask', [provider(service)], services)?.cluster).toBe(cluster));
});
