/** Other ways to say what Gateways, VirtualServices and DestinationRules say: Gateway API and Kubernetes Ingress. */
import type { Issue } from '../base/issue.ts';
import { messageOf } from '../base/errors.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { MeshSettings } from '../model/mesh.ts';
import type { Service } from '../model/service.ts';
import { PUBLIC } from '../model/visibility.ts';
import type { KubeObject } from '../objects/meta.ts';
import { namespaceOf } from './context.ts';
import { convertGatewayApi, type StatusUpdate } from './gateway-api/convert.ts';
import type { GatewayApiFeatures } from './gateway-api/features.ts';
import type { ConvertedRoute } from './gateway-api/route.ts';
import { serviceDirectory } from './gateway-api/service-directory.ts';
import { convertIngresses } from './ingress/convert.ts';
import { ingressSettings } from './ingress/settings.ts';
import type { MeshInput } from './mesh-config.ts';
import type { GeneratedRoute } from './virtual-service.ts';

export interface DialectInput {
  readonly input: MeshInput;
  readonly mesh: MeshSettings;
  readonly kind: (groupKind: string) => readonly KubeObject[];
  readonly services: readonly Service[];
  readonly endpoints: ReadonlyMap<string, readonly Endpoint[]>;
  readonly features: GatewayApiFeatures;
  /** Problems are added here. */
  readonly issues: Issue[];
}

export interface DialectRoute extends ConvertedRoute {
  readonly from: 'gateway-api' | 'ingress';
}

export interface ConvertedDialects {
  readonly gateways: readonly KubeObject[];
  readonly virtualServices: readonly DialectRoute[];
  readonly destinationRules: readonly KubeObject[];
  readonly statuses: readonly StatusUpdate[];
}

const NOTHING: ConvertedDialects = { gateways: [], virtualServices: [], destinationRules: [], statuses: [] };

/** Everything of both dialects. A bug in the conversion costs the dialect, not the mesh. */
export function convertDialects({ input, mesh, kind, services, endpoints, features, issues }: DialectInput): ConvertedDialects {
  const guarded = (name: string, convert: () => ConvertedDialects): ConvertedDialects => {
    try {
      return convert();
    } catch (thrown) {
      issues.push({ severity: 'error', code: 'MLT0001', object: { kind: name, name: '' }, path: '', message: `Objects of ${name} could not be converted: ${messageOf(thrown)}.` });
      return NOTHING;
    }
  };
  const gatewayApi = guarded('Gateway API', () => {
    const converted = convertGatewayApi({ ofKind: kind, domainSuffix: mesh.domainSuffix, features, services: serviceDirectory(services, endpoints, kind('/Service')) });
    issues.push(...converted.issues);
    return { ...converted, virtualServices: converted.virtualServices.map((route) => ({ ...route, from: 'gateway-api' as const })) };
  });
  const ingress = guarded('Ingress', () => {
    const converted = convertIngresses({ ofKind: kind, domainSuffix: mesh.domainSuffix, settings: ingressSettings(input.meshConfig, mesh.rootNamespace) });
    issues.push(...converted.issues);
    return { ...converted, destinationRules: [], virtualServices: converted.virtualServices.map((object) => ({ object, from: 'ingress' as const })) };
  });
  return {
    gateways: [...gatewayApi.gateways, ...ingress.gateways], virtualServices: [...gatewayApi.virtualServices, ...ingress.virtualServices],
    destinationRules: gatewayApi.destinationRules, statuses: [...gatewayApi.statuses, ...ingress.statuses],
  };
}

/** A backend that is missing is the server's mistake in Gateway API: 500, not Envoy's 503. */
const MISSING_BACKEND_STATUS = 500;

/** How the VirtualService of a converted route is read. Routes for Services of other namespaces hold for their own namespace only. */
export function generatedRoute({ from, object, producerNamespace }: DialectRoute): GeneratedRoute {
  if (from === 'ingress') return { visibility: PUBLIC };
  const consumer = producerNamespace !== undefined && producerNamespace !== namespaceOf(object);
  return { missingDestinationStatus: MISSING_BACKEND_STATUS, visibility: consumer ? { public: false, namespaces: [namespaceOf(object)] } : PUBLIC };
}
