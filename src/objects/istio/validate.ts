/** Validation of Istio's kinds: what the webhook refuses, and what `analyze` and `validate` print for files. */
import type { Issue, ObjectReference } from '../../base/issue.ts';
import type { KindInfo } from '../kind.ts';
import type { KubeObject } from '../meta.ts';
import { unknownFields } from '../schema/prune.ts';
import { respell } from '../schema/spelling.ts';
import { validateSchema } from '../schema/validate.ts';
import { closest } from '../schema/closest.ts';
import { ISTIO_OPERATOR_KIND } from './istio-operator.ts';
import { ISTIO_KINDS } from './kinds.ts';
import { checkPeerAuthentication, checkRequestAuthentication } from './validation/authentication.ts';
import { checkAuthorizationPolicy } from './validation/authorization-policy.ts';
import { checkDestinationRule } from './validation/destination-rule.ts';
import { checkEnvoyFilter } from './validation/envoy-filter.ts';
import { checkProxyConfig, checkTrafficExtension, checkWasmPlugin } from './validation/extensions.ts';
import { Findings } from './validation/findings.ts';
import { checkGateway } from './validation/gateway.ts';
import { checkServiceEntry } from './validation/service-entry.ts';
import { checkSidecar } from './validation/sidecar.ts';
import { checkTelemetry } from './validation/telemetry.ts';
import { checkVirtualService } from './validation/virtual-service.ts';
import { checkWorkloadEntry, checkWorkloadGroup } from './validation/workload.ts';

/** A check of a kind; the schema has been checked before, so the type holds. */
type Check<T = never> = (findings: Findings, object: T) => void;

const CHECKS: Readonly<Record<string, Check>> = {
  VirtualService: checkVirtualService,
  DestinationRule: checkDestinationRule,
  Gateway: checkGateway,
  ServiceEntry: checkServiceEntry,
  Sidecar: checkSidecar,
  WorkloadEntry: checkWorkloadEntry,
  WorkloadGroup: checkWorkloadGroup,
  EnvoyFilter: checkEnvoyFilter,
  ProxyConfig: checkProxyConfig,
  PeerAuthentication: checkPeerAuthentication,
  RequestAuthentication: checkRequestAuthentication,
  AuthorizationPolicy: checkAuthorizationPolicy,
  Telemetry: checkTelemetry,
  WasmPlugin: checkWasmPlugin,
  TrafficExtension: checkTrafficExtension,
};

const KINDS_BY_NAME: ReadonlyMap<string, KindInfo> = new Map([...ISTIO_KINDS, ISTIO_OPERATOR_KIND].map((info) => [`${info.group}/${info.kind}`, info]));

/** Objects with this annotation are refused: a probe of the webhook. @see https://github.com/istio/istio/blob/master/pkg/webhooks/validation/server/server.go */
const ALWAYS_REJECT = 'internal.istio.io/webhook-always-reject';

/**
 * Everything that is wrong with an object of Istio; nothing for other kinds. Errors refuse it, warnings do not. Both spellings of fields (`exportTo`,
 * `export_to`) are understood.
 */
export function validateIstioObject(object: KubeObject): Issue[] {
  const [group = '', version = ''] = String(object.apiVersion).split('/');
  const info = KINDS_BY_NAME.get(`${group}/${object.kind}`);
  if (!info) return [];
  const findings = new Findings(referenceOf(object));
  if (!info.versions.includes(version)) findings.error('apiVersion', `${object.kind} has no version ${version}`, `use ${info.versions.map((name) => `${group}/${name}`).join(' or ')}`);
  if (object.metadata?.annotations?.[ALWAYS_REJECT] !== undefined) findings.error('metadata.annotations', `annotation ${ALWAYS_REJECT} asks for a refusal`);
  const spelled = respell(info.schema, object);
  checkShape(findings, info, spelled);
  if (findings.issues.some(({ path, severity }) => severity === 'error' && path.startsWith('spec'))) return findings.issues;
  // The schema makes sure that the object has its type, except for an absent spec, which means an empty one.
  const whole = { ...spelled, spec: (spelled as { readonly spec?: unknown }).spec ?? {} };
  (CHECKS[info.kind] as Check<unknown> | undefined)?.(findings, whole);
  return findings.issues;
}

function referenceOf(object: KubeObject): ObjectReference {
  const { name = '', namespace } = object.metadata ?? {};
  return { apiVersion: object.apiVersion, kind: object.kind, name, ...(namespace === undefined ? {} : { namespace }) };
}

/** Types and names of fields. */
function checkShape(findings: Findings, info: KindInfo, object: KubeObject): void {
  for (const { path, message } of validateSchema(info.schema, object)) findings.error(path, `${path}: ${message}`);
  for (const path of unknownFields(info.schema, object)) {
    const suggestion = closest(info.schema, path);
    findings.error(path, `unknown field "${path}"`, suggestion === undefined ? undefined : `did you mean ${suggestion}?`);
  }
}
