import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { KubeObject } from '../meta.ts';
import { validateIstioObject } from './validate.ts';

const GROUPS: Readonly<Record<string, string>> = {
  PeerAuthentication: 'security.istio.io/v1', RequestAuthentication: 'security.istio.io/v1', AuthorizationPolicy: 'security.istio.io/v1', Telemetry: 'telemetry.istio.io/v1',
  WasmPlugin: 'extensions.istio.io/v1alpha1', TrafficExtension: 'extensions.istio.io/v1alpha1', EnvoyFilter: 'networking.istio.io/v1alpha3', ProxyConfig: 'networking.istio.io/v1beta1',
};
const objectOf = (kind: string, spec: string): KubeObject =>
  ({ apiVersion: GROUPS[kind] ?? 'networking.istio.io/v1', kind, metadata: { name: 'x', namespace: 'ns' }, spec: parse(spec) as unknown }) as unknown as KubeObject;
const errors = (kind: string, spec: string): string[] => validateIstioObject(objectOf(kind, spec)).filter(({ severity }) => severity === 'error').map(({ path, message }) => `${path}: ${message}`);
const warnings = (kind: string, spec: string): string[] => validateIstioObject(objectOf(kind, spec)).filter(({ severity }) => severity === 'warning').map(({ code, path }) => `${code} ${path}`);

const route = 'route: [{destination: {host: b}}]';
const VALID: readonly [string, string][] = [
  ['VirtualService', `{hosts: [reviews, reviews.com], gateways: [mesh, ns/gw, gw], exportTo: ["."], http: [{name: a, match: [{uri: {prefix: /a}, headers: {end-user: {exact: jason}}, port: 80, sourceLabels: {app: b}, withoutHeaders: {x: {}}}], route: [{destination: {host: b, subset: v1, port: {number: 80}}, weight: 90}, {destination: {host: b, subset: v2}, weight: 10}], timeout: 0.5s, retries: {attempts: 3, perTryTimeout: 2s, retryOn: "gateway-error,connect-failure, 503"}, fault: {delay: {percentage: {value: 0.1}, fixedDelay: 5s}, abort: {httpStatus: 500, percentage: {value: 100}}}, mirror: {host: c}, mirrorPercentage: {value: 50}, corsPolicy: {allowOrigins: [{exact: "https://a"}], allowMethods: [GET], maxAge: 24h}, headers: {request: {set: {host: x, a: "%START_TIME%"}, remove: [b]}}}, {redirect: {uri: /x, redirectCode: 302}}]}`],
  ['VirtualService', `{hosts: ["*"], gateways: [gw], http: [{${route}}]}`],
  ['VirtualService', `{hosts: [a.com], gateways: [gw], tls: [{match: [{sniHosts: [a.com], port: 443}], ${route}}], tcp: [{match: [{destinationSubnets: [10.0.0.0/8, "2001:db8::/32"]}], ${route}}]}`],
  ['VirtualService', `{http: [{match: [{uri: {prefix: /a}}], ${route}}]}`],
  ['VirtualService', `{hosts: [a], export_to: ["."], http: [{cors_policy: {allow_origins: [{exact: x}]}, ${route}, mirror_percent: 10, mirror: {host: c}}]}`],
  ['DestinationRule', '{host: b, trafficPolicy: {loadBalancer: {consistentHash: {httpCookie: {name: c, ttl: 0s}}}, connectionPool: {tcp: {maxConnections: 1, idleTimeout: 0s}, http: {http1MaxPendingRequests: 1}}, outlierDetection: {consecutive5xxErrors: 7, interval: 5m, baseEjectionTime: 15m}, tls: {mode: ISTIO_MUTUAL}, portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}}]}, subsets: [{name: v1, labels: {version: v1}}]}'],
  ['DestinationRule', '{host: "*.example.com", trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN, localityLbSetting: {failover: [{from: a, to: b}]}}, outlierDetection: {}}}'],
  ['Gateway', '{selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"], tls: {httpsRedirect: true}}, {port: {number: 443, name: https, protocol: HTTPS}, hosts: ["./*.a.com", ns/b.com], tls: {mode: SIMPLE, credentialName: c}}, {port: {number: 15443, name: tls, protocol: TLS}, hosts: ["*.local"], tls: {mode: AUTO_PASSTHROUGH}}]}'],
  ['ServiceEntry', '{hosts: [api.a.com], ports: [{number: 443, name: tls, protocol: TLS}], location: MESH_EXTERNAL, resolution: DNS}'],
  ['ServiceEntry', '{hosts: [a.com], addresses: [240.0.0.1, 10.0.0.0/8], ports: [{number: 1, name: tcp, protocol: TCP}], resolution: STATIC, endpoints: [{address: 1.2.3.4, ports: {tcp: 2}}]}'],
  ['ServiceEntry', '{hosts: ["*.a.com"], ports: [{number: 443, name: tls, protocol: TLS}], resolution: DYNAMIC_DNS}'],
  ['Sidecar', '{workloadSelector: {labels: {app: a}}, ingress: [{port: {number: 9080, protocol: HTTP, name: http}, defaultEndpoint: "127.0.0.1:8080"}], egress: [{port: {number: 9090, protocol: HTTP, name: x}, hosts: ["a/*"]}, {hosts: ["./*", "istio-system/*", "~b/c.d"]}]}'],
  ['PeerAuthentication', '{selector: {matchLabels: {app: a}}, mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: DISABLE}}}'],
  ['RequestAuthentication', '{jwtRules: [{issuer: a, jwksUri: "https://a/b:c"}, {issuer: b, jwks: "{\\"keys\\": []}"}]}'],
  ['AuthorizationPolicy', '{}'],
  ['AuthorizationPolicy', '{action: DENY, rules: [{from: [{source: {notNamespaces: [a], ipBlocks: [10.0.0.0/8, "::1"]}}], to: [{operation: {paths: ["/a/*", "/{*}/b/{**}"], methods: [GET], ports: ["80"]}}], when: [{key: "request.auth.claims[a][b]", values: [x]}, {key: "request.headers[x]", notValues: ["*"]}]}]}'],
  ['AuthorizationPolicy', '{action: CUSTOM, provider: {name: p}, rules: [{}]}'],
  ['Telemetry', '{tracing: [{randomSamplingPercentage: 12.5, customTags: {a: {literal: {value: b}}}}], accessLogging: [{providers: [{name: envoy}]}]}'],
  ['WasmPlugin', '{url: "oci://gcr.io/a/b:c"}'],
  ['TrafficExtension', '{lua: {inlineCode: "x"}}'],
  ['EnvoyFilter', '{configPatches: [{applyTo: HTTP_FILTER, match: {context: GATEWAY, listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager, subFilter: {name: envoy.filters.http.router}}}}}, patch: {operation: INSERT_BEFORE, value: {name: a}}}]}'],
  ['WorkloadEntry', '{address: 1.2.3.4, labels: {app: a}, ports: {http: 80}}'],
  ['WorkloadGroup', '{template: {serviceAccount: a}, probe: {httpGet: {port: 80}}}'],
  ['ProxyConfig', '{concurrency: 0, image: {imageType: debug}}'],
];

test.each(VALID)('valid %s %#', (kind, spec) => expect(errors(kind, spec)).toEqual([]));

const http = (fields: string): string => `{hosts: [a], http: [{${fields}}]}`;
const dr = (policy: string): string => `{host: b, trafficPolicy: {${policy}}}`;
const server = (fields: string): string => `{servers: [{hosts: ["*"], ${fields}}]}`;

describe('refusals', () => {
  test.each<[string, string, RegExp]>([
    ['VirtualService', '{hosts: ["*"], http: [{' + route + '}]}', /^spec.hosts\[0\]: wildcard host \* is not allowed/],
    ['VirtualService', `{hosts: [a_b], http: [{${route}}]}`, /^spec.hosts\[0\]: domain name "a_b" invalid/],
    ['VirtualService', `{hosts: [a.com, "*.com"], http: [{${route}}]}`, /duplicate hosts in virtual service: a.com & \*.com/],
    ['VirtualService', '{hosts: [a]}', /http, tcp or tls must be provided/],
    ['VirtualService', `{gateways: [gw], http: [{${route}}]}`, /delegate virtual service must have no gateways/],
    ['VirtualService', '{hosts: [a], http: [{delegate: {name: x}}]}', /http delegate only applies to gateway/],
    ['VirtualService', http('name: x'), /HTTP route, redirect or directResponse is required/],
    ['VirtualService', http(`${route}, redirect: {uri: /a}`), /both route and redirect/],
    ['VirtualService', http('redirect: {uri: /a}, fault: {abort: {httpStatus: 500}}'), /both fault and redirect/],
    ['VirtualService', http('redirect: {uri: /a, redirectCode: 304}'), /304 is not a valid redirect code/],
    ['VirtualService', http(`${route}, timeout: 0s`), /spec.http\[0\].timeout: .*must be a valid duration greater than 1ms/],
    ['VirtualService', http(`${route}, timeout: fast`), /must be a valid duration/],
    ['VirtualService', http('route: [{destination: {host: a}}, {destination: {host: b}}]'), /total destination weight = 0/],
    ['VirtualService', http('route: [{destination: {host: a}, weight: -1}]'), /weight -1 < 0/],
    ['VirtualService', http('route: [{destination: {host: "*"}}]'), /invalid destination host \*/],
    ['VirtualService', http('route: [{destination: {host: a, port: {number: 70000}}}]'), /port must be between 1-65535, not 70000/],
    ['VirtualService', http('route: [{destination: {host: a, subset: a_b}}]'), /subset name is invalid: a_b/],
    ['VirtualService', http(`match: [{uri: {regex: "(a"}}], ${route}`), /not a valid regular expression/],
    ['VirtualService', http(`match: [{uri: {regex: "(?=a)"}}], ${route}`), /not a valid regular expression/],
    ['VirtualService', http(`match: [{uri: {exact: a, prefix: b}}], ${route}`), /only one of exact, prefix and regex/],
    ['VirtualService', http(`match: [{url: {exact: a}}], ${route}`), /unknown field "spec.http\[0\].match\[0\].url"/],
    ['VirtualService', http(`${route}, retries: {attempts: 1, retryOn: sometimes}`), /"sometimes" is not a valid retryOn policy/],
    ['VirtualService', http(`${route}, retries: {perTryTimeout: 1s}`), /attempts are set to 0/],
    ['VirtualService', http(`${route}, fault: {}`), /must have an abort and\/or a delay/],
    ['VirtualService', http(`${route}, fault: {abort: {httpStatus: 100}}`), /HTTP status 100 is not in range/],
    ['VirtualService', http(`${route}, fault: {delay: {fixedDelay: 1s, percentage: {value: 101}}}`), /percentage 101 is neither/],
    ['VirtualService', http(`${route}, fault: {abort: {grpcStatus: "14"}}`), /gRPC status "14" is not supported/],
    ['VirtualService', http(`${route}, headers: {response: {set: {":status": "200"}}}`), /pseudo headers cannot be changed/],
    ['VirtualService', http(`${route}, headers: {request: {set: {a: "50%"}}}`), /stray "%"/],
    ['VirtualService', http(`${route}, rewrite: {authority: x}, headers: {request: {set: {host: y}}}`), /authority header cannot be set multiple times/],
    ['VirtualService', http(`${route}, mirror: {host: c}, mirrorPercentage: {value: 101}`), /percentage must be between 0 and 100/],
    ['VirtualService', http(`${route}, rewrite: {uri: /a, uriRegexRewrite: {match: a, rewrite: b}}`), /may only contain one of URI/],
    ['VirtualService', http(`${route}, corsPolicy: {allowMethods: [get]}`), /"get" is not a supported HTTP method/],
    ['VirtualService', `{hosts: [a.com], tls: [{match: [{sniHosts: [b.com]}], ${route}}]}`, /SNI host "b.com" is not a compatible subset/],
    ['VirtualService', `{hosts: [a.com], tcp: [{match: [{destinationSubnets: [10.0.0.0/33]}], ${route}}]}`, /10.0.0.0\/33 is not a valid CIDR block/],
    ['VirtualService', `{hosts: [a], exportTo: [".", "*"], http: [{${route}}]}`, /cannot have both public/],
    ['VirtualService', `{hosts: [a], exportTo: [".", ns], http: [{${route}}]}`, /duplicate entries in exportTo: . and current namespace ns/],
    ['DestinationRule', '{}', /spec.host: Required value/],
    ['DestinationRule', dr(''), /traffic policy must have at least one field/],
    ['DestinationRule', dr('connectionPool: {}'), /connection pool must have at least one field/],
    ['DestinationRule', dr('connectionPool: {tcp: {maxConnections: -1}}'), /must be non-negative/],
    ['DestinationRule', dr('connectionPool: {tcp: {connectTimeout: 0s}}'), /must be a valid duration greater than 1ms/],
    ['DestinationRule', dr('tls: {mode: MUTUAL}'), /client certificate required for mutual tls/],
    ['DestinationRule', dr('outlierDetection: {maxEjectionPercent: 101}'), /percentage 101 is not in range/],
    ['DestinationRule', dr('loadBalancer: {simple: FASTEST}'), /Unsupported value: "FASTEST"/],
    ['DestinationRule', dr('loadBalancer: {simple: RANDOM, consistentHash: {useSourceIp: true}}'), /only one of simple and consistentHash/],
    ['DestinationRule', dr('loadBalancer: {consistentHash: {httpHeaderName: a, maglev: {tableSize: 100}}}'), /must be a prime number/],
    ['DestinationRule', dr('loadBalancer: {localityLbSetting: {distribute: [{from: a, to: {b: 60, c: 30}}]}}'), /total locality weight 90 != 100/],
    ['DestinationRule', dr('loadBalancer: {localityLbSetting: {distribute: [{from: a, to: {b: 100}}, {from: a/*, to: {b: 100}}]}}'), /overlap/],
    ['DestinationRule', dr('portLevelSettings: [{loadBalancer: {simple: RANDOM}}]'), /must have valid port/],
    ['DestinationRule', '{host: b, subsets: [{name: v1, labels: {version: "a b"}}]}', /invalid label value: "a b"/],
    ['Gateway', '{servers: []}', /gateway must have at least one server/],
    ['Gateway', server('port: {number: 443, name: a, protocol: HTTPS}'), /server must have TLS settings/],
    ['Gateway', server('port: {number: 443, name: a, protocol: HTTPS}, tls: {mode: SIMPLE}'), /SIMPLE TLS requires a server certificate/],
    ['Gateway', server('port: {number: 80, name: a, protocol: HTTP}, tls: {mode: SIMPLE, credentialName: a}'), /plain text HTTP ports/],
    ['Gateway', server('port: {number: 80, name: a, protocol: SPDY}'), /invalid protocol "SPDY"/],
    ['Gateway', '{servers: [{hosts: [short], port: {number: 80, name: a, protocol: HTTP}}]}', /short names \(non FQDN\) are not allowed/],
    ['Gateway', '{servers: [{hosts: ["*a.com"], port: {number: 80, name: a, protocol: HTTP}}]}', /partial wildcard "\*a.com" not allowed/],
    ['Gateway', '{servers: [{hosts: ["*"], port: {number: 80, name: a, protocol: HTTP}}, {hosts: ["*"], port: {number: 81, name: a, protocol: HTTP}}]}', /port names in servers must be unique/],
    ['ServiceEntry', '{hosts: ["*"]}', /invalid host \*/],
    ['ServiceEntry', '{hosts: ["*.a.com"], resolution: DNS}', /hosts must be FQDN/],
    ['ServiceEntry', '{hosts: [a.com], resolution: STATIC, endpoints: [{address: b.com}]}', /b.com is not a valid IP/],
    ['ServiceEntry', '{hosts: [a.com], resolution: DYNAMIC_DNS}', /hosts must be wildcard/],
    ['ServiceEntry', '{hosts: [a.com, b.com], resolution: DNS, ports: [{number: 1, name: a, protocol: TCP}]}', /multiple hosts provided with non-HTTP, non-TLS ports/],
    ['Sidecar', '{}', /sidecar: empty configuration provided/],
    ['Sidecar', '{egress: [{hosts: [a.b]}]}', /host must be of form namespace\/dnsName/],
    ['Sidecar', '{egress: [{hosts: ["./*"]}, {hosts: ["a/*"]}]}', /should be the last listener/],
    ['Sidecar', '{ingress: [{port: {number: 1, protocol: HTTP, name: a}, defaultEndpoint: "10.0.0.1:80"}]}', /defaultEndpoint must be of form/],
    ['RequestAuthentication', '{jwtRules: [{issuer: a, jwksUri: "ftp://a"}]}', /must have scheme http or https/],
    ['RequestAuthentication', '{jwtRules: [{issuer: a, jwks: "nothing"}]}', /jwks is not valid JSON/],
    ['AuthorizationPolicy', '{action: DENY}', /DENY action without `rules` is meaningless/],
    ['AuthorizationPolicy', '{action: CUSTOM, rules: [{}]}', /`provider.name` must not be empty/],
    ['AuthorizationPolicy', '{provider: {name: a}, rules: [{}]}', /`provider` must not be with non CUSTOM action/],
    ['AuthorizationPolicy', '{rules: [{from: []}]}', /`from` must not be empty/],
    ['AuthorizationPolicy', '{rules: [{from: [{source: {}}]}]}', /`source` must not be empty/],
    ['AuthorizationPolicy', '{rules: [{from: [{source: {ipBlocks: [x]}}]}]}', /x is not a valid IP/],
    ['AuthorizationPolicy', '{rules: [{to: [{operation: {ports: [http]}}]}]}', /port must be between 1-65535, not "http"/],
    ['AuthorizationPolicy', '{rules: [{to: [{operation: {paths: ["/{**}/{*}"]}}]}]}', /is not the last operator/],
    ['AuthorizationPolicy', '{rules: [{when: [{key: source.name, values: [a]}]}]}', /unknown attribute \(source.name\)/],
    ['AuthorizationPolicy', '{rules: [{when: [{key: source.ip}]}]}', /at least one of `values` or `notValues`/],
    ['Telemetry', '{metrics: [{overrides: [{tagOverrides: {a: {}}}]}]}', /value must be set when operation is UPSERT/],
    ['TrafficExtension', '{}', /exactly one of wasm or lua/],
    ['WasmPlugin', '{url: "ftp://a"}', /url must have schema one of/],
    ['EnvoyFilter', '{configPatches: [{applyTo: CLUSTER, match: {listener: {}}, patch: {operation: REMOVE}}]}', /cluster class objects cannot have non cluster match/],
    ['EnvoyFilter', '{configPatches: [{applyTo: CLUSTER, patch: {operation: ADD}}]}', /missing patch value/],
    ['WorkloadEntry', '{address: "unix://x"}', /UDS must be an absolute path/],
    ['WorkloadGroup', '{template: {}, probe: {httpGet: {port: 1}, tcpSocket: {port: 1}}}', /only one of httpGet/],
    ['WorkloadGroup', '{template: {}, probe: {periodSeconds: 1}}', /unknown health check method/],
    ['WorkloadGroup', '{template: {}, probe: {tcpSocket: {port: 1}, periodSeconds: -1}}', /periodSeconds.*greater than or equal to 0/],
    ['WorkloadGroup', '{template: {address: "unix:///a", ports: {}}}', /UDS may not include ports/],
    ['WorkloadEntry', '{address: 1.2.3.4, ports: {a_b: 1}}', /port name must be valid: "a_b"/],
    ['WorkloadEntry', '{address: "unix://@a/"}', /UDS may not be a dir/],
    ['DestinationRule', '{host: b, subsets: [{name: v1}, {name: v1}]}', /duplicate subset names: v1/],
    ['DestinationRule', dr('tunnel: {targetHost: a, targetPort: 1}, proxyProtocol: {}'), /tunnel and proxyProtocol must not be set together/],
    ['DestinationRule', dr('loadBalancer: {consistentHash: {useSourceIp: true, maglev: {}}}'), /tableSize must be set for maglev/],
    ['DestinationRule', dr('connectionPool: {http: {idleTimeout: 0s}}'), /must be a valid duration greater than 1ms/],
    ['DestinationRule', '{host: b, workloadSelector: {matchLabels: {a: b}}, exportTo: [other]}', /only visible in its own namespace/],
    ['ServiceEntry', '{hosts: [a.com], resolution: NONE, endpoints: []}', /NONE mode cannot set endpoints/],
    ['ServiceEntry', '{hosts: ["*.a.com"], resolution: DNS, workloadSelector: {labels: {a: b}}}', /hosts must be FQDN/],
    ['ServiceEntry', '{hosts: [a.com], resolution: DNS, endpoints: [{network: n}]}', /not a valid FQDN or an IP address/],
    ['EnvoyFilter', '{configPatches: [{applyTo: CLUSTER, match: {context: WAYPOINT}, patch: {operation: REMOVE}}]}', /only support waypointMatch when context is WAYPOINT/],
    ['Telemetry', '{metrics: [{overrides: [{tagOverrides: {a: {operation: REMOVE, value: ""}}}]}]}', /value must not be set when operation is REMOVE/],
    ['WasmPlugin', '{url: a.com/b, vmConfig: {env: [{name: A, valueFrom: HOST, value: ""}]}}', /value may only be set when valueFrom is INLINE/],
    ['WasmPlugin', '{url: a.com/b, match: [{ports: [{}]}]}', /number: Required value/],
    ['PeerAuthentication', '{selector: {matchLabels: {a: b}}, portLevelMtls: {}}', /should have at least 1 properties/],
    ['AuthorizationPolicy', '{action: CUSTOM, provider: {name: p}, rules: [{from: [{source: {namespaces: [a]}}]}]}', /namespaces is currently not supported with CUSTOM action/],
    ['AuthorizationPolicy', '{action: CUSTOM, provider: {name: p}, rules: [{when: [{key: request.auth.audiences, values: [a]}]}]}', /not supported with CUSTOM action/],
    ['AuthorizationPolicy', '{targetRefs: [{group: core_x, kind: Service, name: a}]}', /group in body should match/],
  ])('%s %s', (kind, spec, expected) => {
    const found = errors(kind, spec);
    expect(found.some((message) => expected.test(message)), found.join('\n')).toBe(true);
  });

  test('a misspelt field is suggested', () => {
    const [issue] = validateIstioObject(objectOf('VirtualService', http(`${route}, timeuot: 1s`)));
    expect(issue).toMatchObject({ code: 'IST0106', path: 'spec.http[0].timeuot', fix: 'did you mean timeout?', object: { kind: 'VirtualService', namespace: 'ns', name: 'x' } });
  });

  test.each<[string, string, string, boolean]>([
    ['AuthorizationPolicy', '{rules: [{}]}', 'true', true], ['AuthorizationPolicy', '{rules: [{}]}', 'yes', false], ['AuthorizationPolicy', '{action: AUDIT, rules: [{}]}', 'true', false],
    ['PeerAuthentication', '{}', 'true', false],
  ])('a trial run of %s %s: %s', (kind, spec, value, valid) => {
    const object = objectOf(kind, spec);
    expect(validateIstioObject({ ...object, metadata: { ...object.metadata, annotations: { 'istio.io/dry-run': value } } }).filter(({ severity }) => severity === 'error').length === 0).toBe(valid);
  });

  test('unknown versions and foreign kinds', () => {
    const object = objectOf('VirtualService', http(route));
    expect(validateIstioObject({ ...object, apiVersion: 'networking.istio.io/v9' })[0]).toMatchObject({ path: 'apiVersion', severity: 'error' });
    expect(validateIstioObject({ ...object, apiVersion: 'v1', kind: 'Pod' })).toEqual([]);
  });
});

test.each<[string, string, string[]]>([
  ['VirtualService', `{hosts: [a], http: [{${route}}, {${route}}]}`, ['IST0130 spec.http[1]']],
  ['VirtualService', `{hosts: [a], http: [{match: [{uri: {exact: /a}}], ${route}}, {match: [{uri: {exact: /a}}], ${route}}]}`, ['IST0131 spec.http[1].match[0]', 'IST0130 spec.http[1]']],
  ['VirtualService', http(`${route}, mirror: {host: c}, mirrorPercent: 5`), ['IST0002 spec.http[0].mirrorPercent']],
  ['DestinationRule', dr('loadBalancer: {simple: LEAST_CONN}'), ['IST0002 spec.trafficPolicy.loadBalancer.simple']],
  ['DestinationRule', dr('loadBalancer: {consistentHash: {httpCookie: {name: c}}}'), []],
  ['AuthorizationPolicy', '{action: DENY, rules: [{to: [{operation: {methods: [GET]}}]}]}', ['MLT0001 spec.rules[0]']],
  ['AuthorizationPolicy', '{action: DENY, rules: [{to: [{operation: {methods: [GET], ports: ["80"]}}]}]}', []],
  ['Telemetry', '{selector: {}}', ['MLT0001 spec.selector']],
  ['ServiceEntry', '{hosts: ["*a.com"]}', ['MLT0001 spec.hosts[0]']],
  ['DestinationRule', dr('loadBalancer: {localityLbSetting: {failover: [{from: a, to: b}]}}'), ['MLT0001 spec.trafficPolicy.loadBalancer.localityLbSetting']],
])('warning: %s %s', (kind, spec, expected) => {
  expect(errors(kind, spec)).toEqual([]);
  expect(warnings(kind, spec)).toEqual(expected);
});

test('no object makes it throw', () => {
  const paths = (value: unknown, at: readonly (string | number)[] = []): (readonly (string | number)[])[] =>
    typeof value === 'object' && value !== null ? [at, ...Object.entries(value).flatMap(([key, member]) => paths(member, [...at, key]))] : [at];
  const junk = fc.oneof(fc.constantFrom<unknown>(null, undefined, '', '*', [], [null], {}, { __proto__: null }, 0, -1, 1e9, 'a', true, [[]], [{}]), fc.jsonValue());
  const samples = VALID.map(([kind, spec]) => objectOf(kind, spec));
  fc.assert(
    fc.property(fc.nat(samples.length - 1), fc.nat(), junk, (which, where, value) => {
      const object = structuredClone(samples[which]!);
      const all = paths(object).slice(1);
      const path = all[where % all.length]!;
      let parent = object as unknown as Record<string | number, unknown>;
      for (const key of path.slice(0, -1)) parent = parent[key] as typeof parent;
      parent[path.at(-1)!] = value;
      for (const issue of validateIstioObject(object)) expect(issue.message).not.toContain('undefined');
    }),
    { numRuns: 1500 },
  );
}, 60_000);
