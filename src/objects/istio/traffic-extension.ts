import type { SpecObject } from '../meta.ts';
import { TRAFFIC_EXTENSION } from '../resource-types.ts';
import { AGE } from '../schema/define-kind.ts';
import { int, list, obj, oneOf, req, str, type Infer } from '../schema/dsl.ts';
import { targetReference, workloadSelector, type IstioStatus } from './common.ts';
import { defineIstioKind } from './define-istio-kind.ts';
import { trafficSelector, wasmFields } from './wasm-plugin.ts';

const spec = obj({
  selector: workloadSelector,
  targetRefs: list(targetReference, {}, { maxItems: 16 }),
  /** Order among Istio's own filters; UNSPECIFIED_PHASE is WasmPlugin's name of UNSPECIFIED. */
  phase: oneOf('UNSPECIFIED', 'UNSPECIFIED_PHASE', 'AUTHN', 'AUTHZ', 'STATS'),
  priority: int({ nullable: true }),
  match: list(trafficSelector),
  wasm: obj(wasmFields),
  lua: obj({ inlineCode: req(str({ minLength: 1, maxLength: 65_536 })) }),
});
/** A WebAssembly or Lua extension; exactly one of `wasm` and `lua`. */
export type TrafficExtensionSpec = Infer<typeof spec>;
export type TrafficExtension = SpecObject<TrafficExtensionSpec, IstioStatus>;

export const TRAFFIC_EXTENSION_KIND = defineIstioKind(TRAFFIC_EXTENSION, {
  versions: ['v1alpha1'],
  storageVersion: 'v1alpha1',
  category: 'extensions-istio-io',
  spec,
  specRequired: true,
  columns: [AGE],
});
