import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import type { KubeObject } from '../objects/meta.ts';
import { analyze, ANALYZERS, guarded, OPTIONAL_ANALYZERS } from './analyze.ts';
import { ObjectSet, type AnalysisOptions } from './object-set.ts';

const read = (yaml: string): KubeObject[] => parseAllDocuments(yaml).map((document) => document.toJS() as KubeObject);

const meta = (name: string, namespace = 'a') => `metadata: {name: ${name}, namespace: ${namespace}}`;
const net = (kind: string, name: string, spec: string, namespace = 'a') => `{apiVersion: networking.istio.io/v1, kind: ${kind}, ${meta(name, namespace)}, spec: ${spec}}`;
const pod = (name: string, labels: string, rest = 'spec: {containers: [{name: c, image: i}]}', annotations = '{}') => `{apiVersion: v1, kind: Pod, metadata: {name: ${name}, namespace: a, labels: ${labels}, annotations: ${annotations}}, ${rest}}`;
const service = (name: string, spec: string, namespace = 'a') => `{apiVersion: v1, kind: Service, ${meta(name, namespace)}, spec: ${spec}}`;
const namespace = (name: string, labels = '{}') => `{apiVersion: v1, kind: Namespace, metadata: {name: ${name}, labels: ${labels}}}`;
const gateway = (name: string, server: string, selector = '{app: gw}') => net('Gateway', name, `{selector: ${selector}, servers: [${server}]}`);
const deployment = (name: string, pods: string) => `{apiVersion: apps/v1, kind: Deployment, ${meta(name)}, spec: {template: ${pods}}}`;

type Case = readonly [analyzer: string, objects: readonly string[], expected: readonly string[], options?: AnalysisOptions];

const CASES: readonly Case[] = [
  ['annotations.K8sAnalyzer', [`{apiVersion: v1, kind: Service, metadata: {name: s, namespace: a, annotations: {networking.istio.io/exportTwo: x, networking.istio.io/exportTo: "*", other.io/x: y}}, spec: {}}`], ['IST0108 Service a/s']],
  ['annotations.K8sAnalyzer', [pod('p', '{}', 'spec: {}', '{traffic.sidecar.istio.io/includeOutboundIPRanges: "10.0.0.0/33", status.sidecar.istio.io/port: "15020"}')], ['IST0125 Pod a/p']],
  ['annotations.K8sAnalyzer', [pod('p', '{}', 'spec: {}', '{proxy.istio.io/config: "concurrency: two"}'), pod('q', '{}', 'spec: {}', '{proxy.istio.io/config: "concurrency: 2"}')], ['IST0125 Pod a/p']],
  ['annotations.K8sAnalyzer', [pod('p', '{}', 'spec: {}', '{sidecar.istio.io/proxyCPU: 100m, sidecar.istio.io/proxyMemory: 1Gi}'), pod('q', '{}', 'spec: {}', '{sidecar.istio.io/proxyCPU: lots}')], ['IST0125 Pod a/q']],
  ['annotations.K8sAnalyzer', [pod('p', '{sidecar.istio.io/inject: "true"}', 'spec: {}', '{sidecar.istio.io/inject: "true"}')], []],
  ['annotations.K8sAnalyzer', [pod('p', '{}', 'spec: {}', '{sidecar.istio.io/inject: "true"}')], ['IST0135 Pod a/p']],
  ['annotations.AlphaAnalyzer', [pod('p', '{}', 'spec: {}', '{sidecar.istio.io/interceptionMode: REDIRECT, sidecar.istio.io/logLevel: info}')], ['IST0136 Pod a/p']],
  ['applicationUID.Analyzer', [pod('p', '{}', 'spec: {securityContext: {runAsUser: 1337}, containers: [{name: c}]}'), pod('ok', '{}', 'spec: {containers: [{name: istio-proxy, securityContext: {runAsUser: 1337}}]}')], ['IST0144 Pod a/p']],
  ['auth.AuthorizationPoliciesAnalyzer', [namespace('a', '{istio-injection: enabled}'), pod('p', '{app: x}'),
    `{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, ${meta('none')}, spec: {selector: {matchLabels: {app: y}}}}`,
    `{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, ${meta('some')}, spec: {selector: {matchLabels: {app: x}}, rules: [{from: [{source: {namespaces: ["b*", a, "*"]}}]}]}}`,
    `{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, ${meta('mesh', 'istio-system')}, spec: {}}`], ['IST0101 AuthorizationPolicy a/some', 'IST0127 AuthorizationPolicy a/none']],
  ['authn.BlockedCIDRsAnalyzer', [`{apiVersion: security.istio.io/v1, kind: RequestAuthentication, ${meta('r')}, spec: {}}`, '{apiVersion: apps/v1, kind: Deployment, metadata: {name: istiod, namespace: a, labels: {app: istiod}}, spec: {template: {spec: {containers: [{name: d}]}}}}'], ['IST0175 Deployment a/istiod']],
  ['conditions.ConditionAnalyzer', [`{apiVersion: v1, kind: Service, ${meta('s')}, status: {conditions: [{type: istio.io/WaypointBound, status: "False"}]}}`, `{apiVersion: v1, kind: Service, ${meta('t')}, status: {conditions: [{type: other, status: "False"}]}}`], ['IST0171 Service a/s']],
  ['deployment.MultiServiceAnalyzer', [namespace('a', '{istio-injection: enabled}'), deployment('d', '{metadata: {labels: {app: x}}}'), service('s', '{selector: {app: x}, ports: [{port: 80, targetPort: 8080}]}'), service('t', '{selector: {app: x}, ports: [{port: 80, protocol: UDP, targetPort: 8081}, {port: 81, targetPort: 8080}]}')], ['IST0116 Deployment a/d', 'IST0137 Deployment a/d']],
  ['deprecation.DeprecationAnalyzer', ['{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: x}, spec: {group: rbac.istio.io, names: {kind: ServiceRole}}}'], ['IST0002 CustomResourceDefinition x']],
  ['destinationrule.CaCertificateAnalyzer', [net('DestinationRule', 'd', '{host: h, trafficPolicy: {tls: {mode: MUTUAL, credentialName: c}, portLevelSettings: [{port: {number: 1}, tls: {mode: SIMPLE, caCertificates: system}}]}}')], ['IST0128 DestinationRule a/d']],
  ['destinationrule.SubsetSelectPodAnalyzer', [service('s', '{}'), pod('p', '{version: v1}'), net('DestinationRule', 'd', '{host: s, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}'), net('DestinationRule', 'e', '{host: unknown}'), net('DestinationRule', 'w', '{host: "*.a.svc.cluster.local"}')], ['IST0173 DestinationRule a/d', 'IST0174 DestinationRule a/e']],
  ['envoyfilter.EnvoyPatchAnalyzer', [net('EnvoyFilter', 'e', '{configPatches: [{applyTo: HTTP_FILTER, patch: {operation: INSERT_BEFORE, value: {name: x}}}, {applyTo: CLUSTER, patch: {operation: REPLACE}}]}'), net('EnvoyFilter', 'f', '{priority: 1, configPatches: [{applyTo: HTTP_FILTER, patch: {operation: REMOVE}}]}')], ['IST0151 EnvoyFilter a/e', 'IST0152 EnvoyFilter a/e']],
  ['envoyfilter.EnvoyPatchAnalyzer', [net('EnvoyFilter', 'e', '{configPatches: [{applyTo: HTTP_FILTER, match: {proxy: {proxyVersion: "1.2"}}, patch: {operation: INSERT_FIRST, value: {name: x}}}, {applyTo: HTTP_FILTER, patch: {operation: INSERT_AFTER, value: {name: x}}}]}')], ['IST0155 EnvoyFilter a/e']],
  ['externalcontrolplane.ExternalControlPlaneAnalyzer', ['{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: istio-validator}, webhooks: [{name: w, clientConfig: {url: "https://[fd00::1]:15017/x"}}, {name: v, clientConfig: {service: {name: s, namespace: n}}}]}'], ['IST0164 ValidatingWebhookConfiguration istio-validator']],
  ['gateway.ConflictingGatewayAnalyzer', [gateway('g', '{port: {number: 80}, hosts: ["*.x.com"]}'), gateway('h', '{port: {number: 80}, hosts: [a.x.com]}'), gateway('i', '{port: {number: 80}, bind: 10.0.0.1, hosts: [a.x.com]}')], ['IST0145 Gateway a/g', 'IST0145 Gateway a/h']],
  ['gateway.IngressGatewayPortAnalyzer', [pod('p', '{app: gw}'), service('s', '{selector: {app: gw}, ports: [{port: 80, targetPort: 8080}]}'), gateway('g', '{port: {number: 81}}'), gateway('h', '{port: {number: 8080}}'), gateway('i', '{port: {number: 80}}', '{app: other}')], ['IST0101 Gateway a/i', 'IST0162 Gateway a/g']],
  ['gateway.SecretAnalyzer', [pod('p', '{app: gw}'), `{apiVersion: v1, kind: Secret, ${meta('bad')}, data: {tls.crt: eA==, tls.key: eA==}}`, gateway('g', '{port: {number: 443}, tls: {mode: SIMPLE, credentialName: missing}}'), gateway('h', '{port: {number: 443}, tls: {mode: SIMPLE, credentialName: bad}}')], ['IST0101 Gateway a/g', 'IST0161 Gateway a/h']],
  ['injection.Analyzer', [namespace('n'), `{apiVersion: v1, kind: ConfigMap, ${meta('istio-sidecar-injector', 'istio-system')}, data: {values: '{"sidecarInjectorWebhook":{"enableNamespacesByDefault":true}}'}}`], ['IST0148 Namespace n']],
  ['injection.ImageAutoAnalyzer', [pod('p', '{}', 'spec: {containers: [{name: istio-proxy, image: auto}]}'), deployment('d', '{spec: {containers: [{name: istio-proxy, image: auto}]}}')], ['IST0146 Deployment a/d', 'IST0147 Pod a/p']],
  ['k8sgateway.CRDVersionAnalyzer', ['{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: tlsroutes.gateway.networking.k8s.io, annotations: {gateway.networking.k8s.io/bundle-version: v1.4.2}}}', '{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: grpcroutes.gateway.networking.k8s.io, annotations: {gateway.networking.k8s.io/bundle-version: v1.1.0-rc1}}}'], ['IST0176 CustomResourceDefinition tlsroutes.gateway.networking.k8s.io']],
  ['k8sgateway.SelectorAnalyzer', [pod('p', '{gateway.networking.k8s.io/gateway-name: g, app: x}'), `{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, ${meta('ap')}, spec: {selector: {matchLabels: {app: x}}}}`], ['IST0166 AuthorizationPolicy a/ap']],
  ['meshnetworks.MeshNetworksAnalyzer', ['{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: a, labels: {istio/multiCluster: "true"}}, data: {known: eA==}}'], ['IST0126 MeshNetworks istio-system/meshnetworks'], { meshNetworks: { networks: { n: { endpoints: [{ fromRegistry: 'known' }, { fromRegistry: 'Kubernetes' }, { fromRegistry: 'unknown' }] } } } }],
  ['service.PortNameAnalyzer', [service('s', '{ports: [{port: 8080, name: web}, {port: 8081, name: web2, appProtocol: http}, {port: 53, name: dns, protocol: UDP}]}'), service('x', '{type: ExternalName, ports: [{port: 443, name: tcp}]}'), service('sys', '{ports: [{port: 1}]}', 'kube-system')], ['IST0118 Service a/s', 'IST0150 Service a/x']],
  ['serviceentry.ConflictingServiceEntryProtocolAnalyzer', [net('ServiceEntry', 's', '{hosts: [x.com], ports: [{number: 80, protocol: http}]}'), net('ServiceEntry', 't', '{hosts: [x.com], exportTo: [b], ports: [{number: 80, protocol: TCP}]}'), net('ServiceEntry', 'u', '{hosts: [x.com], ports: [{number: 81, protocol: TCP}]}')], ['IST0177 ServiceEntry a/s', 'IST0177 ServiceEntry a/t']],
  ['sidecar.SelectorAnalyzer', [pod('p', '{app: x}'), net('Sidecar', 's', '{workloadSelector: {labels: {app: x}}}'), net('Sidecar', 't', '{workloadSelector: {labels: {app: x}}}'), net('Sidecar', 'u', '{workloadSelector: {labels: {app: y}}}')], ['IST0101 Sidecar a/u', 'IST0110 Sidecar a/s', 'IST0110 Sidecar a/t']],
  ['telemetry.DefaultSelectorAnalyzer', ['t', 'u'].map((name) => `{apiVersion: telemetry.istio.io/v1, kind: Telemetry, ${meta(name)}, spec: {}}`), ['IST0160 Telemetry a/t', 'IST0160 Telemetry a/u']],
  ['telemetry.ProviderAnalyzer', [`{apiVersion: telemetry.istio.io/v1, kind: Telemetry, ${meta('t')}, spec: {accessLogging: [{}]}}`], ['IST0157 Telemetry a/t']],
  ['telemetry.ProviderAnalyzer', [`{apiVersion: telemetry.istio.io/v1, kind: Telemetry, ${meta('t')}, spec: {accessLogging: [{}]}}`], [], { meshConfig: { defaultProviders: { accessLogging: ['envoy'] } } }],
  ['telemetry.ProviderAnalyzer', [`{apiVersion: telemetry.istio.io/v1, kind: Telemetry, ${meta('t')}, spec: {accessLogging: [{disabled: true}]}}`], []],
  ['telemetry.LightstepAnalyzer', [`{apiVersion: telemetry.istio.io/v1, kind: Telemetry, ${meta('t')}, spec: {tracing: [{providers: [{name: ls}]}]}}`], ['IST0002 Telemetry a/t'], { meshConfig: { extensionProviders: [{ name: 'ls', lightstep: { service: 's', port: 1 } }] } }],
  ['injection.Analyzer', [namespace('a', '{istio-injection: enabled}'), pod('p', '{sidecar.istio.io/inject: "False"}')], []],
  ['virtualservice.DestinationHostAnalyzer', [net('ServiceEntry', 's', '{hosts: [x.com], exportTo: [b], ports: [{number: 80, name: http}]}'), net('ServiceEntry', 'n', '{hosts: [y.com]}'),
    net('VirtualService', 'one', '{hosts: [h], exportTo: [c, b], http: [{route: [{destination: {host: x.com}}]}]}'), net('VirtualService', 'none', '{hosts: [h], exportTo: [c], http: [{route: [{destination: {host: x.com}}]}]}'),
    net('VirtualService', 'port', '{hosts: [h], http: [{route: [{destination: {host: y.com, port: {number: 1}}}]}]}')], ['IST0101 VirtualService a/none', 'IST0101 VirtualService a/port']],
  ['virtualservice.JWTClaimRouteAnalyzer', [pod('p', '{app: gw}'), gateway('g', '{port: {number: 80}}'), net('VirtualService', 'v', '{hosts: [h], gateways: [g, mesh], http: [{match: [{withoutHeaders: {"@request.auth.claims.x": {exact: y}}}]}]}'), `{apiVersion: security.istio.io/v1, kind: RequestAuthentication, ${meta('r', 'other')}, spec: {}}`], ['IST0149 VirtualService a/v']],
  ['mesh.SupportAnalyzer', [`{apiVersion: networking.istio.io/v1alpha3, kind: EnvoyFilter, ${meta('e')}, spec: {configPatches: []}, status: {conditions: [{type: "ConfigPatches[0]", status: "False", reason: Unsupported, message: m}, {type: "ConfigPatches[1]", status: "True", reason: Applied}, {type: "ConfigPatches[2]", status: "False", reason: NoMatch}]}}`], ['MLT0016 EnvoyFilter a/e']],
  ['mesh.SupportAnalyzer', [net('EnvoyFilter', 'e', '{workloadLabels: {app: x}, filters: [{filterName: envoy.lua, filterType: HTTP, filterConfig: {inlineCode: "x"}}]}')], ['MLT0006 EnvoyFilter a/e']],
  ['schema.ValidationAnalyzer.Gateway', [gateway('g', '{port: {number: 99999}}')], ['IST0106 Gateway a/g']],
];

describe('analyze', () => {
  test.each(CASES.map(([analyzer, objects, expected, options]) => ({ analyzer, objects, expected, options })))('$analyzer: %#', ({ analyzer, objects, expected, options }) => {
    expect(analyzer in ANALYZERS || analyzer in OPTIONAL_ANALYZERS).toBe(true);
    const issues = analyze(objects.flatMap(read), { ...options, analyzers: [analyzer] });
    const found = issues.map(({ code, object }) => `${code} ${object.kind} ${object.namespace ? `${object.namespace}/` : ''}${object.name}`);
    expect([...new Set(found)].sort()).toEqual(expected);
    for (const { path, message, fix } of issues) expect([path, message, analyzer.startsWith('schema.') ? 'its own' : (fix ?? '')]).not.toContain('');
  });

  test('an annotation silences codes on its object', () => {
    const quiet = (codes: string) => analyze(read(`{apiVersion: v1, kind: Namespace, metadata: {name: n, annotations: {galley.istio.io/analyze-suppress: "${codes}"}}}`), { analyzers: ['injection.Analyzer'] });
    expect([quiet('IST0103, IST0102').length, quiet('*').length, quiet('IST0103').length]).toEqual([0, 0, 1]);
  });

  test('services that differ between clusters', () => {
    const clusters = new Map([['one', read(service('s', '{ports: [{name: a, port: 1}]}'))], ['two', read(service('s', '{clusterIP: None, ports: [{name: b, port: 1}]}'))]]);
    const [issue] = analyze([], { clusters, analyzers: ['services.MultiClusterServiceAnalyzer'] });
    expect(issue?.message).toBe('The service s in namespace "a" is inconsistent across clusters ["one" "two"], which can lead to undefined behaviors. The inconsistent behaviors are: service has mixed mode like headless and clusterIP; service ports are inconsistent.');
  });

  test('malformed objects do not stop the others', () => {
    const broken = ['VirtualService', 'Gateway', 'DestinationRule', 'Sidecar', 'EnvoyFilter', 'ServiceEntry', 'WorkloadEntry'].flatMap((kind) =>
      ['null', '{}', '{http: [null, {route: [{}]}], hosts: [null], servers: [{}], subsets: [{}], configPatches: [{}], ports: [{}]}'].flatMap((spec, index) => read(`{apiVersion: networking.istio.io/v1, kind: ${kind}, ${meta(`x${index}`)}, spec: ${spec}}`)));
    const codes = analyze([...broken, ...read(pod('p', '{}', 'spec: null')), ...read(namespace('n'))]).map(({ code }) => code);
    expect(codes).toContain('IST0102');
    expect(codes).not.toContain('IST0001');
  });

  test('objects of another shape are told once and looked at no further', () => {
    const odd = read(`{apiVersion: v1, kind: Service, ${meta('s')}, spec: {ports: 5}}\n---\n${net('Gateway', 'g', '{servers: {port: 1}}')}`);
    const codes = analyze([...odd, ...read(namespace('n'))]).map(({ code, object, path }) => `${code} ${object.name} ${path}`);
    expect(codes).toEqual(['IST0106 g spec.servers', 'IST0106 g spec.servers.port', 'IST0106 s spec.ports', 'IST0102 n metadata.labels']);
  });

  test('both spellings of fields are understood', () => {
    const issues = analyze(read(net('DestinationRule', 'd', '{host: h, traffic_policy: {tls: {mode: SIMPLE}}}')), { analyzers: ['destinationrule.CaCertificateAnalyzer'] });
    expect(issues.map(({ code }) => code)).toEqual(['IST0128']);
  });

  test('kinds of others that share a name are left alone', () => {
    expect(analyze(read(`{apiVersion: serving.knative.dev/v1, kind: Service, ${meta('s')}, spec: {ports: 5, template: {}}}`))).toEqual([]);
  });

  test('an analyzer that fails says so', () => {
    const [issue] = guarded('x.Analyzer', () => { throw new Error('boom'); }, new ObjectSet([]));
    expect(issue).toMatchObject({ code: 'IST0001', severity: 'error', object: { name: 'x.Analyzer' }, message: 'Internal error: boom' });
  });
});
