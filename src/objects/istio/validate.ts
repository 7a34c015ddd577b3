/** Validation of Istio's kinds: what the webhook refuses, and what `analyze` and `validate` print for files. */
import type { Issue, ObjectReference } from '../../base/issue.ts';
import type { KindInfo } from '../kind.ts';
import type { KubeObject } from '../meta.ts';
import { unknownFields } from '../schema/prune.ts';
import { respell } from '../schema/spelling.ts';
import { validateSchema } from '../schema/validate.ts';
import { isObject, own, withChanges } from '../schema/values.ts';
import { closest } from '../schema/closest.ts';
import { repairObject, type Repair } from '../repair/repair.ts';
import { ISTIO_OPERATOR_KIND } from './istio-operator.ts';
import { ISTIO_KINDS } from './kinds.ts';
import { LEGACY_KINDS } from './legacy/kinds.ts';
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

const KINDS_BY_NAME: ReadonlyMap<string, KindInfo> = new Map([...ISTIO_KINDS, ...LEGACY_KINDS, ISTIO_OPERATOR_KIND].map((info) => [`${info.group}/${info.kind}`, info]));

/** Objects with this annotation are refused: a probe of the webhook. @see https://github.com/istio/istio/blob/master/pkg/webhooks/validation/server/server.go */
const ALWAYS_REJECT = 'internal.istio.io/webhook-always-reject';

/** A policy with this annotation only writes down what it would do. */
const DRY_RUN = 'istio.io/dry-run';
/** What Go's strconv.ParseBool takes. */
const BOOLEANS: ReadonlySet<string> = new Set(['1', 't', 'T', 'TRUE', 'true', 'True', '0', 'f', 'F', 'FALSE', 'false', 'False']);

/**
 * Everything that is wrong with an object of Istio; nothing for other kinds. Errors refuse it, warnings do not. Both spellings of fields (`exportTo`,
 * `export_to`) are understood. Where fields only stand in the wrong place, the fix of the first error is the whole object as it was meant, in YAML.
 */
export function validateIstioObject(object: KubeObject): Issue[] {
  const issues = findIssues(object);
  const first = issues.findIndex(({ severity }) => severity === 'error');
  const repair = first === -1 ? undefined : repairIstioObject(object);
  if (!repair) return issues;
  return issues.map((issue, index) => (index === first ? { ...issue, fix: repair.yaml } : issue));
}

/** The object as it was probably meant; undefined when that cannot be told. */
function repairIstioObject(object: KubeObject): Repair | undefined {
  if (own(object.metadata?.annotations, ALWAYS_REJECT) !== undefined) return undefined;
  return repairObject(object, { kinds: [...KINDS_BY_NAME.values()], errorsOf: errorsOfIstioObject });
}

/** How many errors an object of Istio has; none for other kinds. */
export function errorsOfIstioObject(object: KubeObject): number {
  return findIssues(object).filter(({ severity }) => severity === 'error').length;
}

function findIssues(object: KubeObject): Issue[] {
  if (typeof object.apiVersion !== 'string' || typeof object.kind !== 'string') return [];
  const [group = '', version = ''] = object.apiVersion.split('/');
  const info = KINDS_BY_NAME.get(`${group}/${object.kind}`);
  if (!info) return [];
  const findings = new Findings(referenceOf(object));
  if (!info.versions.includes(version)) findings.error('apiVersion', `${object.kind} has no version ${version}`, `use ${info.versions.map((name) => `${group}/${name}`).join(' or ')}`);
  if (own(object.metadata?.annotations, ALWAYS_REJECT) !== undefined) findings.error('metadata.annotations', `annotation ${ALWAYS_REJECT} asks for a refusal`);
  checkDryRun(findings, object);
  const spelled = whole(info, respell(info.schema, object));
  checkShape(findings, info, spelled);
  // The schema makes sure that the object has its type; without it the checks below could not rely on theirs.
  if (findings.issues.some(({ path, severity }) => severity === 'error' && /^(spec|metadata)\b/.test(path))) return findings.issues;
  (CHECKS[info.kind] as Check<unknown> | undefined)?.(findings, withoutNulls(spelled));
  return findings.issues;
}

/** Only policies that allow or deny can be tried out. @see https://istio.io/latest/docs/tasks/security/authorization/authz-dry-run/ */
function checkDryRun(findings: Findings, object: KubeObject): void {
  const value = own(object.metadata?.annotations, DRY_RUN);
  if (value === undefined) return;
  const path = `metadata.annotations["${DRY_RUN}"]`;
  const { spec } = object as { readonly spec?: unknown };
  const action = (isObject(spec) ? own(spec, 'action') : undefined) ?? 'ALLOW';
  if (object.kind !== 'AuthorizationPolicy') findings.error(path, `unsupported annotation ${DRY_RUN}`, 'remove the annotation: only AuthorizationPolicy knows it');
  else if (action !== 'ALLOW' && action !== 'DENY') findings.error(path, `the annotation ${DRY_RUN} currently only supports action ALLOW/DENY, found action ${String(action)}`);
  else if (typeof value !== 'string' || !BOOLEANS.has(value)) findings.error(path, `annotation ${DRY_RUN} has the invalid value ${JSON.stringify(value)}`, 'write "true" or "false"');
}

function referenceOf(object: KubeObject): ObjectReference {
  const { name, namespace } = isObject(object.metadata) ? (object.metadata as Readonly<Record<string, unknown>>) : {};
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  return { apiVersion: object.apiVersion, kind: object.kind, name: text(name), ...(text(namespace) === '' ? {} : { namespace: text(namespace) }) };
}

/** Absent metadata are empty, and so is an absent spec where it may be absent. */
function whole(info: KindInfo, object: KubeObject): KubeObject {
  const spec = (object as { readonly spec?: unknown }).spec ?? (info.schema.required?.includes('spec') ? undefined : {});
  return { ...object, metadata: object.metadata ?? {}, ...(spec === undefined ? {} : { spec }) };
}

/** Null means absent, in protobuf's JSON and for the API server. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isObject(value)) return value;
  const changes = new Map<string, unknown>();
  for (const [name, field] of Object.entries(value)) {
    const kept = field === null ? undefined : withoutNulls(field);
    if (kept !== field || field === undefined) changes.set(name, kept);
  }
  return withChanges(value, changes);
}

/** Fields that old files have and Istio's API no longer knows, and what to write instead. */
const REMOVED_FIELDS: ReadonlyMap<string, string> = new Map([
  ['websocketUpgrade', 'remove it: upgrades to WebSocket work without'],
  ['appendHeaders', 'use headers.request.add'],
  ['appendRequestHeaders', 'use headers.request.add'],
  ['appendResponseHeaders', 'use headers.response.add'],
  ['removeResponseHeaders', 'use headers.response.remove'],
]);

/** Types and names of fields. */
function checkShape(findings: Findings, info: KindInfo, object: KubeObject): void {
  for (const { path, message } of validateSchema(info.schema, object)) findings.error(path, message === 'Required value' ? `Required value: ${path.slice(path.lastIndexOf('.') + 1)} must be set` : message);
  for (const path of unknownFields(info.schema, object)) {
    const suggestion = closest(info.schema, path);
    const fix = REMOVED_FIELDS.get(path.slice(path.lastIndexOf('.') + 1)) ?? (suggestion === undefined ? undefined : `did you mean ${suggestion}?`);
    findings.error(path, `unknown field "${path}"`, fix);
  }
}
