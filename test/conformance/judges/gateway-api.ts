// The gateway-api corpus: Gateway API objects → Istio objects and status.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { KubeObject } from '../../../src/objects/meta.ts';
import { convertGatewayApi, type ConvertedGatewayApi } from '../../../src/resolve/gateway-api/convert.ts';
import { featuresOf } from '../../../src/resolve/gateway-api/features.ts';
import type { ServiceDirectory } from '../../../src/resolve/gateway-api/service-directory.ts';
import { readYaml } from '../corpus.ts';
import { allOf, fail, type Judge, PASS, sameData, type Verdict } from '../judge.ts';

interface GatewayApiCase {
  readonly input: string;
  readonly namespaces: readonly { readonly name: string; readonly labels: Readonly<Record<string, string>> }[];
  readonly expectedConfig: string;
  readonly expectedStatus: string;
}

interface EnvironmentService {
  readonly hostname: string;
  readonly namespace: string;
  readonly externalAddresses?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly ports: readonly { readonly name: string; readonly port: number }[];
  readonly endpointPort: number;
}

interface Environment {
  readonly domainSuffix: string;
  readonly env: Readonly<Record<string, string>>;
  readonly services: readonly EnvironmentService[];
}

/** Ports of the Kubernetes Services of the corpus. */
const SERVICE_PORTS = [{ name: 'http', port: 80 }, { name: 'tcp', port: 34_000 }, { name: 'tcp-other', port: 34_001 }];

export const judge: Judge = {
  corpus: 'gateway-api',
  run: async (caseDir, caseJson, corpusDir) => {
    const data = caseJson as GatewayApiCase;
    const converted = convert(caseDir, data, corpusDir);
    const configs = [...converted.gateways, ...converted.virtualServices.map(({ object }) => object), ...converted.destinationRules];
    return allOf([sameConfigs(configs, readYaml<KubeObject>(join(caseDir, data.expectedConfig))), judgeStatuses(converted, readYaml<StatusObject>(join(caseDir, data.expectedStatus)))]);
  },
};

function convert(caseDir: string, data: GatewayApiCase, corpusDir: string): ConvertedGatewayApi {
  const environment = parse(readFileSync(join(corpusDir, '_fixtures/environment.yaml'), 'utf8')) as Environment;
  const suffix = `.svc.${environment.domainSuffix}`;
  const services = environment.services.filter(({ hostname }) => hostname.endsWith(suffix)).map(({ hostname, namespace, labels }) => ({
    apiVersion: 'v1', kind: 'Service', metadata: { name: hostname.split('.')[0]!, namespace, ...(labels && { labels }) }, spec: { ports: SERVICE_PORTS },
  }));
  const namespaces = data.namespaces.map(({ name, labels }) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }));
  const objects: KubeObject[] = [...services, ...namespaces, ...readYaml<KubeObject>(join(corpusDir, '_fixtures/objects.yaml')), ...readYaml<KubeObject>(join(caseDir, data.input))];
  const groupKindOf = ({ apiVersion, kind }: KubeObject) => `${apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : ''}/${kind}`;
  return convertGatewayApi({
    ofKind: (groupKind) => objects.filter((object) => groupKindOf(object) === groupKind), domainSuffix: environment.domainSuffix,
    features: featuresOf(environment.env), services: directoryOf(environment.services),
  });
}

function directoryOf(services: readonly EnvironmentService[]): ServiceDirectory {
  return {
    namespacesOf: (hostname) => services.filter((service) => service.hostname === hostname).map(({ namespace }) => namespace),
    find: (hostname, namespace) => {
      const service = services.find((candidate) => candidate.hostname === hostname && candidate.namespace === namespace);
      return service && {
        ports: service.ports.map(({ port }) => port), endpointPorts: new Map(service.ports.map(({ port }, index) => [port, [index === 0 ? service.endpointPort : port]])),
        addresses: [], externalAddresses: service.externalAddresses ?? [], loadBalancer: false, managed: false,
      };
    },
  };
}

/** The specs as a set; a Gateway's PASSTHROUGH is protobuf's default. */
export function sameConfigs(actual: readonly KubeObject[], expected: readonly KubeObject[]): Verdict {
  const textOf = (object: KubeObject) => `${object.kind} ${JSON.stringify(comparable((object as KubeObject & { readonly spec: unknown }).spec))}`;
  const [own, wanted] = [actual.map(textOf).sort(), expected.map(textOf).sort()];
  const missing = wanted.filter((text) => !own.includes(text));
  const extra = own.filter((text) => !wanted.includes(text));
  if (missing.length > 0) return fail(`config: missing ${missing[0]}${extra[0] === undefined ? '' : `, got ${extra[0]}`}`);
  return extra.length > 0 || own.length !== wanted.length ? fail(`config: too much ${extra[0] ?? 'of the same'}`) : PASS;
}

/** Sorted keys, durations in seconds, protobuf's defaults left out. */
function comparable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value !== 'object' || value === null) return typeof value === 'string' && /^\d+(\.\d+)?s$/.test(value) ? `${Number(value.slice(0, -1))}s` : value;
  const entries = Object.entries(value).map(([key, member]) => [key, comparable(member)] as const);
  const kept = entries.filter(([key, member]) => member !== undefined && member !== null && member !== 0 && member !== '' && member !== false && !(Array.isArray(member) && member.length === 0) && !(key === 'mode' && member === 'PASSTHROUGH'));
  return Object.fromEntries(kept.sort(([a], [b]) => (a < b ? -1 : 1)));
}

interface ConditionLike {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
}

interface StatusObject extends KubeObject {
  readonly status: {
    readonly conditions?: readonly ConditionLike[];
    readonly addresses?: unknown;
    readonly listeners?: readonly { readonly name: string; readonly attachedRoutes: number; readonly supportedKinds?: unknown; readonly conditions: readonly ConditionLike[] }[];
    readonly parents?: readonly { readonly parentRef: unknown; readonly controllerName: string; readonly conditions: readonly ConditionLike[] }[];
    readonly ancestors?: readonly { readonly ancestorRef: unknown; readonly controllerName: string; readonly conditions: readonly ConditionLike[] }[];
  };
}

function judgeStatuses(converted: ConvertedGatewayApi, expected: readonly StatusObject[]): Verdict {
  const mapOf = (objects: readonly StatusObject[]) => Object.fromEntries(objects.map((object) => [`${object.kind} ${object.metadata.namespace ?? ''}/${object.metadata.name}`, statusMap(object.status)]));
  return sameData(mapOf(converted.statuses.map(({ object, status }) => ({ ...object, status }) as StatusObject)), mapOf(expected));
}

function statusMap(status: StatusObject['status']): unknown {
  const conditions = (list: readonly ConditionLike[] | undefined) => Object.fromEntries((list ?? []).map((condition) => [condition.type, `${condition.status} ${condition.reason}`]));
  const entries = (list: readonly { readonly controllerName: string; readonly conditions: readonly ConditionLike[] }[] | undefined, reference: string) =>
    Object.fromEntries((list ?? []).map((entry) => [`${entry.controllerName} ${JSON.stringify(comparable((entry as unknown as Readonly<Record<string, unknown>>)[reference]))}`, conditions(entry.conditions)]));
  return {
    conditions: conditions(status.conditions), addresses: status.addresses ?? [], parents: entries(status.parents, 'parentRef'), ancestors: entries(status.ancestors, 'ancestorRef'),
    listeners: Object.fromEntries((status.listeners ?? []).map((listener) => [listener.name, { attachedRoutes: listener.attachedRoutes, supportedKinds: listener.supportedKinds ?? [], conditions: conditions(listener.conditions) }])),
  };
}
