/** `analyze`: every analyzer over one set of objects. Pure; the same function serves the command line and the console. */
import { messageOf } from '../base/errors.ts';
import type { Issue } from '../base/issue.ts';
import type { KubeObject } from '../objects/meta.ts';
import { analyzeAlphaAnnotations, analyzeAnnotations } from './analyzers/annotations.ts';
import { analyzeAuthorizationPolicies, analyzeBlockedCidrs } from './analyzers/authorization.ts';
import { analyzeConditions } from './analyzers/conditions.ts';
import { analyzeApplicationUid, analyzeDeploymentServices } from './analyzers/deployments.ts';
import { analyzeDeprecation } from './analyzers/deprecation.ts';
import { analyzeCaCertificates, analyzeSubsetPods } from './analyzers/destination-rules.ts';
import { analyzeDestinationHosts, analyzeDestinationSubsets } from './analyzers/destinations.ts';
import { analyzeEnvoyFilters } from './analyzers/envoy-filters.ts';
import { analyzeGatewayApiSelectors, analyzeGatewayApiVersions } from './analyzers/gateway-api.ts';
import { analyzeGatewaySecrets } from './analyzers/gateway-secrets.ts';
import { analyzeGatewayCertificates, analyzeGatewayConflicts, analyzeGatewayPorts } from './analyzers/gateway-servers.ts';
import { analyzeVirtualServiceGateways } from './analyzers/gateways.ts';
import { analyzeAutoImages, analyzeProxyImages } from './analyzers/injection-images.ts';
import { analyzeInjection } from './analyzers/injection.ts';
import { analyzeJwtClaimRoutes } from './analyzers/jwt-claim-routes.ts';
import { analyzeMeshHosts } from './analyzers/mesh-hosts.ts';
import { analyzeMeshNetworks, analyzeMulticlusterServices } from './analyzers/multicluster.ts';
import { analyzeSchema, VALIDATED_KINDS } from './analyzers/schema.ts';
import { analyzeServiceEntryAddresses, analyzeServiceEntryProtocols } from './analyzers/service-entries.ts';
import { analyzePortNames } from './analyzers/services.ts';
import { analyzeSupport } from './analyzers/support.ts';
import { analyzeLightstep, analyzeTelemetryProviders } from './analyzers/telemetry.ts';
import { analyzeExternalControlPlane, analyzeWebhooks } from './analyzers/webhooks.ts';
import { analyzeDefaultTelemetries, analyzeSidecarSelectors, analyzeTelemetrySelectors } from './analyzers/workload-selectors.ts';
import { message } from './message.ts';
import { type AnalysisOptions, ObjectSet } from './object-set.ts';

export type Analyzer = (set: ObjectSet) => readonly Issue[];

/** The analyzers under the names `analyze -L` prints: Istio's, and one of ours. */
export const ANALYZERS: Readonly<Record<string, Analyzer>> = {
  'annotations.K8sAnalyzer': analyzeAnnotations,
  'applicationUID.Analyzer': analyzeApplicationUid,
  'auth.AuthorizationPoliciesAnalyzer': analyzeAuthorizationPolicies,
  'authn.BlockedCIDRsAnalyzer': analyzeBlockedCidrs,
  'conditions.ConditionAnalyzer': analyzeConditions,
  'deployment.MultiServiceAnalyzer': analyzeDeploymentServices,
  'deprecation.DeprecationAnalyzer': analyzeDeprecation,
  'destinationrule.CaCertificateAnalyzer': analyzeCaCertificates,
  'destinationrule.SubsetSelectPodAnalyzer': analyzeSubsetPods,
  'envoyfilter.EnvoyPatchAnalyzer': analyzeEnvoyFilters,
  'externalcontrolplane.ExternalControlPlaneAnalyzer': analyzeExternalControlPlane,
  'gateway.CertificateAnalyzer': analyzeGatewayCertificates,
  'gateway.ConflictingGatewayAnalyzer': analyzeGatewayConflicts,
  'gateway.IngressGatewayPortAnalyzer': analyzeGatewayPorts,
  'gateway.SecretAnalyzer': analyzeGatewaySecrets,
  'injection.Analyzer': analyzeInjection,
  'injection.ImageAnalyzer': analyzeProxyImages,
  'injection.ImageAutoAnalyzer': analyzeAutoImages,
  'k8sgateway.CRDVersionAnalyzer': analyzeGatewayApiVersions,
  'k8sgateway.SelectorAnalyzer': analyzeGatewayApiSelectors,
  'meshnetworks.MeshNetworksAnalyzer': analyzeMeshNetworks,
  // Ours: what this mesh does not support, or cannot read.
  'mesh.SupportAnalyzer': analyzeSupport,
  'service.PortNameAnalyzer': analyzePortNames,
  'serviceentry.Analyzer': analyzeServiceEntryAddresses,
  'serviceentry.ConflictingServiceEntryProtocolAnalyzer': analyzeServiceEntryProtocols,
  'services.MultiClusterServiceAnalyzer': analyzeMulticlusterServices,
  'sidecar.SelectorAnalyzer': analyzeSidecarSelectors,
  'telemetry.DefaultSelectorAnalyzer': analyzeDefaultTelemetries,
  'telemetry.LightstepAnalyzer': analyzeLightstep,
  'telemetry.ProviderAnalyzer': analyzeTelemetryProviders,
  'telemetry.SelectorAnalyzer': analyzeTelemetrySelectors,
  'virtualservice.ConflictingMeshGatewayHostsAnalyzer': analyzeMeshHosts,
  'virtualservice.DestinationHostAnalyzer': analyzeDestinationHosts,
  'virtualservice.DestinationRuleAnalyzer': analyzeDestinationSubsets,
  'virtualservice.GatewayAnalyzer': analyzeVirtualServiceGateways,
  'virtualservice.JWTClaimRouteAnalyzer': analyzeJwtClaimRoutes,
  'webhook.Analyzer': analyzeWebhooks,
  ...Object.fromEntries(VALIDATED_KINDS.map((kind) => [`schema.ValidationAnalyzer.${kind}`, analyzeSchema(kind)])),
};

/** Analyzers that run only when they are named: they tell things that most users cannot change. */
export const OPTIONAL_ANALYZERS: Readonly<Record<string, Analyzer>> = { 'annotations.AlphaAnalyzer': analyzeAlphaAnnotations };

/** Runs the analyzers (all by default). Issues of ignored namespaces and equal ones are dropped; order is by severity, code, object. */
export function analyze(objects: readonly KubeObject[], options: AnalysisOptions & { readonly analyzers?: readonly string[] } = {}): readonly Issue[] {
  const set = new ObjectSet(objects, options);
  const seen = new Set<string>();
  const wanted = options.analyzers ? Object.entries({ ...ANALYZERS, ...OPTIONAL_ANALYZERS }).filter(([name]) => options.analyzers!.includes(name)) : Object.entries(ANALYZERS);
  const suppressed = suppressions(objects);
  const issues = wanted
    .flatMap(([name, analyzer]) => guarded(name, analyzer, set))
    .filter(({ code, object }) => !(suppressed.get(`${object.kind} ${object.namespace ?? ''}/${object.name}`) ?? []).some((pattern) => pattern === code || pattern === '*'))
    .filter((issue) => !set.isIgnored(issue.object.namespace))
    .filter((issue) => {
      const key = `${issue.code} ${issue.object.kind} ${issue.object.namespace}/${issue.object.name} ${issue.path} ${issue.message}`;
      return !seen.has(key) && seen.add(key);
    });
  return issues.sort((a, b) => RANK[a.severity] - RANK[b.severity] || compare(a.code, b.code) || compare(`${a.object.namespace}/${a.object.name}`, `${b.object.namespace}/${b.object.name}`));
}

/** An analyzer that stumbles over an object nobody foresaw must not keep the others from telling what they found. */
export function guarded(name: string, analyzer: Analyzer, set: ObjectSet): readonly Issue[] {
  try {
    return analyzer(set);
  } catch (error) {
    return [message('IST0001', { apiVersion: '', kind: 'Analyzer', metadata: { name } }, '', [messageOf(error)], 'correct what schema.ValidationAnalyzer tells first, and report this')];
  }
}

/** Objects whose annotation silences codes, `IST0103,IST0108` or `*`. */
function suppressions(objects: readonly KubeObject[]): ReadonlyMap<string, readonly string[]> {
  return new Map(objects.flatMap(({ kind, metadata }) => {
    const codes = metadata.annotations?.['galley.istio.io/analyze-suppress'];
    return codes === undefined ? [] : [[`${kind} ${metadata.namespace ?? ''}/${metadata.name}`, codes.split(',').map((code) => code.trim())] as const];
  }));
}

const RANK = { error: 0, warning: 1, info: 2 } as const;

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
