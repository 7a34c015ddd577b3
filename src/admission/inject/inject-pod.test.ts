import { describe, expect, it } from 'vitest';
import { defaultInjectionValues } from './defaults.ts';
import { injectPod } from './inject-pod.ts';
import { kubeInject } from './kube-inject.ts';
import type { Container, InjectionContext, InjectionValues, JsonObject, Pod } from './types.ts';

const VALUES = defaultInjectionValues('1.2.3');

function context(proxy: JsonObject = {}, rest: Partial<InjectionContext> = {}): InjectionContext {
  return { values: { ...VALUES, global: { ...VALUES.global, proxy: { ...VALUES.global?.proxy, ...proxy } } } as InjectionValues, meshConfig: {}, ...rest };
}

function pod(annotations: Record<string, string> = {}, container: JsonObject = {}, labels: Record<string, string> = { app: 'shop' }): Pod {
  return { metadata: { name: 'shop', labels, annotations }, spec: { containers: [{ name: 'shop', image: 'shop', ...container }] } };
}

function inject(input: Pod, using: InjectionContext = context()): Pod {
  const result = injectPod(input, using);
  if (result.kind !== 'injected') throw new Error(JSON.stringify(result));
  return result.pod;
}

function find(input: Pod, name: string): Container & { readonly securityContext?: JsonObject } {
  return [...(input.spec?.containers ?? []), ...(input.spec?.initContainers ?? [])].find((one) => one.name === name)!;
}

function envOf(input: Pod): Record<string, unknown> {
  return Object.fromEntries((find(input, 'istio-proxy')['env'] as JsonObject[]).map((one) => [one['name'], one['value']]));
}

describe('images', () => {
  it.each([
    ['the type of an annotation replaces the one in the tag', { 'sidecar.istio.io/proxyImageType': 'debug' }, '1.2.3-distroless', 'docker.io/meltemi/proxyv2:1.2.3-debug'],
    ['default takes the type away', { 'sidecar.istio.io/proxyImageType': 'default' }, '1.2.3-distroless', 'docker.io/meltemi/proxyv2:1.2.3'],
    ['a whole reference wins', { 'sidecar.istio.io/proxyImage': 'reg/own:1' }, '1.2.3', 'reg/own:1'],
    ['a bare name does not', { 'sidecar.istio.io/proxyImage': 'own' }, '1.2.3', 'docker.io/meltemi/proxyv2:1.2.3'],
  ])('%s', (_name, annotations, tag, image) => {
    const using = context();
    const tagged = { ...using, values: { ...using.values, global: { ...using.values.global, tag } } };
    expect(find(inject(pod(annotations), tagged), 'istio-proxy').image).toBe(image);
  });
});

describe('who is injected', () => {
  const disabled = context({ autoInject: 'disabled' });
  it('takes anything but true and false as not said', () => {
    expect(injectPod(pod({}, {}, { 'sidecar.istio.io/inject': 'yes' }), context()).kind).toBe('injected');
    expect(injectPod(pod({}, {}, { 'sidecar.istio.io/inject': 'yes' }), disabled).kind).toBe('skipped');
  });
  it('refuses a merge-metrics annotation that is no boolean', () => expect(injectPod(pod({ 'prometheus.istio.io/merge-metrics': 'maybe' }), context()).kind).toBe('failed'));
});

describe('probes', () => {
  const probe = (port: number | string): JsonObject => ({ readinessProbe: { httpGet: { path: '/ok', port, host: 'h', httpHeaders: [{ name: 'a', value: 'b' }] } } });
  it('keeps host and headers of the original', () => {
    expect(find(inject(pod({}, probe(80))), 'shop')['readinessProbe']).toEqual({ httpGet: { path: '/app-health/shop/readyz', port: 15020, host: 'h', httpHeaders: [{ name: 'a', value: 'b' }] } });
  });
  it.each([
    [{ 'traffic.sidecar.istio.io/excludeInboundPorts': '80, 90' }, 80],
    [{ 'traffic.sidecar.istio.io/includeInboundPorts': '443' }, 80],
    [{ 'traffic.sidecar.istio.io/includeInboundPorts': '80' }, 15020],
    [{ 'traffic.sidecar.istio.io/includeInboundPorts': '*', 'traffic.sidecar.istio.io/excludeInboundPorts': '90' }, 15020],
  ])('of ports that are not captured stay: %o', (annotations, port) => {
    expect((find(inject(pod(annotations, probe(80))), 'shop')['readinessProbe'] as { httpGet: { port: number } }).httpGet.port).toBe(port);
  });
});

describe('a second injection', () => {
  it('keeps the probes that the first one noted, and adds new ones', () => {
    const first = inject(pod({}, { readinessProbe: { httpGet: { path: '/ok', port: 80 } } }));
    const noted = JSON.parse(String(envOf(first)['ISTIO_KUBE_APP_PROBERS'])) as JsonObject;
    expect(JSON.parse(String(envOf(inject(first))['ISTIO_KUBE_APP_PROBERS']))).toEqual(noted);
    const more: Pod = { ...first, spec: { ...first.spec, containers: [...(first.spec?.containers ?? []), { name: 'late', image: 'l', livenessProbe: { tcpSocket: { port: 7 } } }] } };
    expect(JSON.parse(String(envOf(inject(more))['ISTIO_KUBE_APP_PROBERS']))).toEqual({ ...noted, '/app-health/late/livez': { tcpSocket: { port: 7 } } });
  });
});

describe('the proxy as somebody else', () => {
  const own = (uid: number, annotations: Record<string, string> = {}): Pod => ({ ...pod(annotations), spec: { containers: [{ name: 'shop', image: 'x' }, { name: 'istio-proxy', image: 'auto', securityContext: { runAsUser: uid } }] } });
  const uidOf = (input: Pod): string | undefined => { const args = find(input, 'istio-init')['args'] as string[]; return args[args.indexOf('-u') + 1]; };
  it('is exempt from interception', () => expect(uidOf(inject(own(4000)))).toBe('4000'));
  it('is never root in the rules', () => expect(uidOf(inject(own(0)))).toBe('1337'));
  it('stays root when it intercepts transparently', () => expect(find(inject(own(4000, { 'sidecar.istio.io/interceptionMode': 'TPROXY' })), 'istio-proxy').securityContext?.['runAsUser']).toBe(0));
  it('counts as the application on OpenShift only outside TPROXY', () => {
    const using = context({}, { namespaceAnnotations: { 'openshift.io/sa.scc.uid-range': '1000/100' } });
    expect(uidOf(inject(pod(), using))).toBe('1099');
    expect(uidOf(inject(pod({ 'sidecar.istio.io/interceptionMode': 'TPROXY' }), using))).toBe('1337');
  });
});

describe('metadata', () => {
  it('cuts the canonical name to a label', () => expect(inject(pod({}, {}, { app: `${'a'.repeat(62)}-b` })).metadata?.labels?.['service.istio.io/canonical-name']).toBe('a'.repeat(62)));
  it('knows Prometheus annotations in every spelling', () => {
    const result = inject(pod({ 'prometheus-io/scrape': 't', 'prometheus_io_port': '9000' }));
    expect(JSON.parse(String(envOf(result)['ISTIO_PROMETHEUS_ANNOTATIONS']))).toEqual({ scrape: 't', path: '', port: '9000' });
    expect(Object.keys(result.metadata?.annotations ?? {}).filter((key) => /prometheus/.test(key)).sort()).toEqual(['prometheus.io/path', 'prometheus.io/port', 'prometheus.io/scrape']);
  });
  it('lists the ports of a proxy the user wrote', () => {
    const gateway: Pod = { metadata: { annotations: { 'inject.istio.io/templates': 'gateway' } }, spec: { containers: [{ name: 'istio-proxy', image: 'auto', ports: [{ containerPort: 8443 }] }] } };
    const first = inject(gateway);
    expect(JSON.parse(String(envOf(first)['ISTIO_META_POD_PORTS']))).toEqual([{ containerPort: 8443 }]);
    expect(envOf(inject(first))).toEqual(envOf(first));
  });
});

describe('order', () => {
  it('waits when the installation or the pod says so', () => {
    const names = (input: Pod): string[] => (input.spec?.containers ?? []).map((one) => one.name);
    expect(names(inject(pod({ 'proxy.istio.io/config': 'holdApplicationUntilProxyStarts: false' }), context({ holdApplicationUntilProxyStarts: true })))).toEqual(['istio-proxy', 'shop']);
    expect(names(inject(pod()))).toEqual(['shop', 'istio-proxy']);
  });
  it('leaves containers a template changes where they are', () => {
    const using = context();
    const templates = { extra: 'spec:\n  containers:\n  - name: b\n    workingDir: /w\n  - name: new\n    image: n\n' };
    const input: Pod = { metadata: { annotations: { 'inject.istio.io/templates': 'extra' } }, spec: { containers: [{ name: 'a', image: 'a' }, { name: 'b', image: 'b' }, { name: 'c', image: 'c' }] } };
    const result = inject(input, { ...using, values: { ...using.values, sidecarInjectorWebhook: { templates } } });
    expect(result.spec?.containers?.map((one) => one.name)).toEqual(['a', 'b', 'new', 'c']);
    expect(find(result, 'b')['workingDir']).toBe('/w');
  });
});

describe('OpenShift', () => {
  const using = context({}, { namespaceAnnotations: { 'openshift.io/sa.scc.uid-range': '1000/100' } });
  const both = (app: number, proxy: number): Pod => ({ metadata: { name: 'a' }, spec: { containers: [{ name: 'a', image: 'a', securityContext: { runAsUser: app } }, { name: 'istio-proxy', image: 'auto', securityContext: { runAsUser: proxy, runAsGroup: proxy } }] } });
  it('does not take the user it gives to every container for a wish', () => expect(find(inject(both(1000, 1000), using), 'istio-proxy').securityContext).toMatchObject({ runAsUser: 1099, runAsGroup: 1099 }));
  it('keeps a user of the proxy alone', () => expect(find(inject(both(1000, 1050), using), 'istio-proxy').securityContext).toMatchObject({ runAsUser: 1050, runAsGroup: 1050 }));
});

describe('proxy.istio.io/config', () => {
  it.each(['drainDuration: soon', 'concurrency: -1', 'statusPort: "x"', 'holdApplicationUntilProxyStarts: "yes"', 'interceptionMode: SOMETIMES', 'proxyMetadata: a', 'discoveryAddress: istiod'])('refuses %s', (text) => {
    expect(injectPod(pod({ 'proxy.istio.io/config': text }), context())).toMatchObject({ kind: 'failed', message: expect.stringContaining(text.split(':')[0]!) as string });
  });
  it('takes what is right', () => expect(injectPod(pod({ 'proxy.istio.io/config': 'drainDuration: 3s\nconcurrency: 0\nstatsCompression: false\n' }), context()).kind).toBe('injected'));
});

describe('messages', () => {
  it.each([
    ['traffic.sidecar.istio.io/includeOutboundIPRanges', '10.0.0.0', 'includeIPRanges'],
    ['traffic.sidecar.istio.io/excludeOutboundIPRanges', '*', 'excludeIPRanges'],
    ['traffic.sidecar.istio.io/excludeInboundPorts', '*', 'excludeInboundPorts'],
    ['sidecar.istio.io/interceptionMode', 'ALWAYS', 'interceptionMode'],
  ])('name the setting of %s', (name, value, setting) => {
    expect(injectPod(pod({ [name]: value }), context())).toMatchObject({ kind: 'failed', message: expect.stringContaining(`: ${setting} wants`) as string });
  });
  it.each([
    ['', 'Deployment "web" has host networking enabled'],
    [', namespace: shop', 'Deployment "shop/web" has host networking enabled'],
  ])('call a workload as its document does%s', (namespace, text) => {
    const document = `kind: Deployment\napiVersion: apps/v1\nmetadata: {name: web${namespace}}\nspec: {template: {spec: {hostNetwork: true, containers: []}}}\n`;
    expect(kubeInject(document, context()).notes.join()).toContain(text);
  });
});
