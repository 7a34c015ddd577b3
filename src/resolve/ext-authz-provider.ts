import type { CheckBody, ExtAuthzProvider } from '../model/ext-authz-provider.ts';
import type { Cursor } from './cursor.ts';

/** The external authorizers among `meshConfig.extensionProviders`. One that is wrong is kept with its problem: policies that name it must not vanish. */
export function readExtAuthzProviders(mesh: Cursor): readonly ExtAuthzProvider[] {
  const seen = new Set<string>();
  return mesh.at('extensionProviders').items().flatMap((entry) => {
    const name = entry.at('name').string();
    const http = entry.at('envoyExtAuthzHttp');
    const grpc = entry.at('envoyExtAuthzGrpc');
    const duplicate = seen.has(name);
    seen.add(name);
    if (!http.exists && !grpc.exists) return [];
    const provider = readProvider(name, http.exists ? 'http' : 'grpc', http.exists ? http : grpc);
    const problem = duplicate ? `another provider is named "${name}" too` : provider.problem;
    if (problem !== undefined) entry.fail(`${problem}; requests that need the provider are denied`);
    return [{ ...provider, problem }];
  });
}

function readProvider(name: string, protocol: 'http' | 'grpc', entry: Cursor): ExtAuthzProvider {
  const status = entry.at('statusOnError').string();
  const request = entry.at('includeRequestHeadersInCheck').strings();
  const provider = {
    name, protocol, service: entry.at('service').string(), port: entry.at('port').number() ?? 0, timeoutMs: entry.at('timeout').durationMs() ?? 600_000,
    failOpen: entry.at('failOpen').boolean() ?? false, statusOnError: status === '' ? undefined : Number(status), clearRouteCache: entry.at('clearRouteCache').boolean() ?? false,
    body: readBody(entry.at('includeRequestBodyInCheck')), pathPrefix: entry.at('pathPrefix').string(),
    headersInCheck: request.length > 0 ? request : entry.at('includeHeadersInCheck').strings(),
    additionalHeaders: entry.at('includeAdditionalHeadersInCheck').entries().map(([key, value]) => [key, value.string()] as const).sort(([a], [b]) => (a < b ? -1 : 1)),
    headersToUpstreamOnAllow: entry.at('headersToUpstreamOnAllow').strings(), headersToDownstreamOnAllow: entry.at('headersToDownstreamOnAllow').strings(),
    headersToDownstreamOnDeny: entry.at('headersToDownstreamOnDeny').strings(),
  };
  return { ...provider, problem: problemOf(provider) };
}

function readBody(body: Cursor): CheckBody | undefined {
  if (!body.exists) return undefined;
  return { maxRequestBytes: body.at('maxRequestBytes').number() ?? 0, allowPartialMessage: body.at('allowPartialMessage').boolean() ?? false, packAsBytes: body.at('packAsBytes').boolean() ?? false };
}

function problemOf(provider: Omit<ExtAuthzProvider, 'problem'>): string | undefined {
  if (provider.name === '') return 'an extension provider needs a name';
  if (provider.service === '') return 'service must not be empty';
  if (!Number.isInteger(provider.port) || provider.port < 1 || provider.port > 65_535) return `port must be between 1 and 65535, not ${provider.port}`;
  const { statusOnError: status } = provider;
  if (status !== undefined && !(Number.isInteger(status) && status >= 100 && status <= 599)) return 'statusOnError must be an HTTP status';
  if (provider.pathPrefix !== '' && !provider.pathPrefix.startsWith('/')) return `pathPrefix must begin with "/", not "${provider.pathPrefix}"`;
  if (provider.body && provider.body.maxRequestBytes < 1) return 'includeRequestBodyInCheck.maxRequestBytes must be at least 1';
  const lists = [provider.headersInCheck, provider.headersToUpstreamOnAllow, provider.headersToDownstreamOnAllow, provider.headersToDownstreamOnDeny];
  return lists.some((list) => list.includes('*')) ? 'a single "*" is not supported as a header; write a prefix or a suffix' : undefined;
}
