import type { SpecObject } from '../meta.ts';
import { WASM_PLUGIN } from '../resource-types.ts';
import { AGE } from '../schema/define-kind.ts';
import { anyObject, int, list, obj, oneOf, req, str, type Infer } from '../schema/dsl.ts';
import { targetReference, workloadSelector, type IstioStatus } from './common.ts';
import { defineIstioKind } from './define-istio-kind.ts';

/** Order among Istio's own filters. */
const pluginPhase = oneOf('UNSPECIFIED_PHASE', 'AUTHN', 'AUTHZ', 'STATS');
/** Traffic that a plugin sees. */
export const trafficSelector = obj({ mode: oneOf('UNDEFINED', 'CLIENT', 'SERVER', 'CLIENT_AND_SERVER'), ports: list(obj({ number: req(int({ minimum: 1, maximum: 65_535 })) }), { mapKeys: ['number'] }) });

/** A WebAssembly module and how to run it. */
export const wasmFields = {
  /** `oci://` (default), `file://`, `http://`, `https://`. */
  url: req(str({ minLength: 1 })),
  sha256: str({ pattern: '(^$|^[a-f0-9]{64}$)' }),
  imagePullPolicy: oneOf('UNSPECIFIED_POLICY', 'IfNotPresent', 'Always'),
  imagePullSecret: str({ minLength: 1, maxLength: 253 }),
  verificationKey: str(),
  pluginConfig: anyObject(),
  pluginName: str({ minLength: 1, maxLength: 256 }),
  failStrategy: oneOf('FAIL_CLOSE', 'FAIL_OPEN', 'FAIL_RELOAD'),
  vmConfig: obj({
    env: list(obj({ name: req(str({ minLength: 1, maxLength: 256 })), valueFrom: oneOf('INLINE', 'HOST'), value: str({ maxLength: 2048 }) }), { mapKeys: ['name'] }, { maxItems: 256 }),
  }),
  type: oneOf('UNSPECIFIED_PLUGIN_TYPE', 'HTTP', 'NETWORK'),
};

const spec = obj({
  selector: workloadSelector,
  targetRef: targetReference,
  targetRefs: list(targetReference, {}, { maxItems: 16 }),
  ...wasmFields,
  phase: pluginPhase,
  /** Higher first inside a phase; default 0. */
  priority: int({ nullable: true }),
  match: list(trafficSelector),
});
/** @see https://istio.io/latest/docs/reference/config/proxy_extensions/wasm-plugin/ */
export type WasmPluginSpec = Infer<typeof spec>;
export type WasmPlugin = SpecObject<WasmPluginSpec, IstioStatus>;

export const WASM_PLUGIN_KIND = defineIstioKind(WASM_PLUGIN, {
  versions: ['v1alpha1'],
  storageVersion: 'v1alpha1',
  category: 'extensions-istio-io',
  spec,
  specRequired: true,
  columns: [AGE],
});
