import type { SpecObject } from '../meta.ts';
import { PROXY_CONFIG } from '../resource-types.ts';
import { having, int, map, obj, str, type Infer } from '../schema/dsl.ts';
import { workloadSelector, type IstioStatus } from './common.ts';
import { defineIstioKind } from './define-istio-kind.ts';

const spec = obj({
  selector: workloadSelector,
  /** Absent: from the CPU limit; 0: all cores. */
  concurrency: having(int(), { minimum: 0, nullable: true }),
  environmentVariables: map(str({ maxLength: 2048 })),
  /** `default`, `debug` or `distroless`. */
  image: obj({ imageType: str() }),
});
/** @see https://istio.io/latest/docs/reference/config/networking/proxy-config/ */
export type ProxyConfigSpec = Infer<typeof spec>;
/** Settings of single proxies; not to be confused with `meshConfig.defaultConfig`. */
export type ProxyConfig = SpecObject<ProxyConfigSpec, IstioStatus>;

export const PROXY_CONFIG_KIND = defineIstioKind(PROXY_CONFIG, { versions: ['v1beta1'], storageVersion: 'v1beta1', category: 'networking-istio-io', spec });
