/** Every Istio object against its kind's rules. */
import type { Issue } from '../../base/issue.ts';
import { validateIstioObject } from '../../objects/istio/validate.ts';
import { message } from '../message.ts';
import { MESSAGES, type MessageCode } from '../messages.ts';
import type { ObjectSet } from '../object-set.ts';

/** Kinds that have an analyzer of their own, `schema.ValidationAnalyzer.<Kind>`. */
export const VALIDATED_KINDS = [
  'AuthorizationPolicy', 'DestinationRule', 'EnvoyFilter', 'Gateway', 'PeerAuthentication', 'ProxyConfig', 'RequestAuthentication', 'ServiceEntry', 'Sidecar', 'Telemetry', 'TrafficExtension', 'VirtualService', 'WasmPlugin', 'WorkloadEntry', 'WorkloadGroup',
  'ClusterRbacConfig', 'MeshPolicy', 'Policy', 'RbacConfig', 'ServiceRole', 'ServiceRoleBinding',
] as const;

/** Findings that keep their own code and text; all others are told as an error or a warning of the schema. */
const OWN_TEXT: readonly MessageCode[] = ['IST0130', 'IST0131'];

export function analyzeSchema(kind: string): (set: ObjectSet) => readonly Issue[] {
  return (set) => [...set.of(kind), ...set.malformed.map(({ object }) => object).filter((object) => object.kind === kind)].filter((object) => object.apiVersion.includes('istio.io/')).flatMap((object) => validateIstioObject(object).map((issue) => {
    const own = OWN_TEXT.find((code) => code === issue.code);
    const { code, severity, message: text } = message(own ?? (issue.severity === 'error' ? 'IST0106' : 'IST0133'), object, issue.path, [issue.message], issue.fix);
    return { ...issue, code, object: message('IST0106', object, issue.path, []).object, severity: own ? MESSAGES[own].level : severity, message: own ? issue.message : text };
  }));
}
