/** Every Istio object against its kind's rules. */
import type { Issue } from '../../base/issue.ts';
import { validateIstioObject } from '../../objects/istio/validate.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { message } from '../message.ts';
import type { ObjectSet } from '../object-set.ts';

const KINDS = ['VirtualService', 'DestinationRule', 'Gateway', 'ServiceEntry', 'Sidecar', 'WorkloadEntry', 'WorkloadGroup', 'EnvoyFilter', 'ProxyConfig', 'PeerAuthentication', 'RequestAuthentication', 'AuthorizationPolicy', 'Telemetry', 'WasmPlugin'];

export function analyzeSchemas(set: ObjectSet): readonly Issue[] {
  return KINDS.flatMap((kind) => set.of<KubeObject>(kind))
    .filter((object) => object.apiVersion.includes('istio.io/'))
    .flatMap((object) => validateIstioObject(object).filter((issue) => issue.severity === 'error').map((issue) => message('IST0106', object, issue.path, [issue.message], issue.fix)));
}
