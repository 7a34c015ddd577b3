import type { SpecObject } from '../meta.ts';
import { ISTIO_OPERATOR } from '../resource-types.ts';
import { anyObject, anything, bool, int, list, map, obj, str, type Infer } from '../schema/dsl.ts';
import { defineIstioKind } from './define-istio-kind.ts';

const overlay = obj({ apiVersion: str(), kind: str(), name: str(), patches: list(obj({ path: str(), value: anything() })) });
const k8s = obj(
  {
    affinity: anyObject(),
    env: list(anyObject()),
    hpaSpec: anyObject(),
    imagePullPolicy: str(),
    nodeSelector: map(str()),
    podDisruptionBudget: anyObject(),
    podAnnotations: map(str()),
    priorityClassName: str(),
    readinessProbe: anyObject(),
    replicaCount: int(),
    resources: anyObject(),
    service: anyObject(),
    strategy: anyObject(),
    tolerations: list(anyObject()),
    serviceAnnotations: map(str()),
    securityContext: anyObject(),
    volumes: list(anyObject()),
    volumeMounts: list(anyObject()),
    overlays: list(overlay),
  },
);
/** Kubernetes settings of an installed component. */
export type KubernetesResources = Infer<typeof k8s>;

const component = { enabled: bool({ nullable: true }), namespace: str(), hub: str(), tag: anything(), k8s, spec: anything() };
const gatewayComponent = obj({ ...component, name: str(), label: map(str()) });
/** A gateway to install. */
export type GatewayComponent = Infer<typeof gatewayComponent>;

const spec = obj({
  /** `default`, `demo`, `minimal`, `empty`, … or a file. */
  profile: str(),
  installPackagePath: str(),
  hub: str(),
  tag: anything(),
  namespace: str(),
  revision: str(),
  compatibilityVersion: str(),
  meshConfig: anyObject(),
  components: obj({
    base: obj(component),
    pilot: obj(component),
    cni: obj(component),
    ztunnel: obj(component),
    istiodRemote: obj(component),
    ingressGateways: list(gatewayComponent),
    egressGateways: list(gatewayComponent),
  }),
  /** Helm values. */
  values: anyObject(),
  unvalidatedValues: anyObject(),
});
/** What to install. @see https://istio.io/latest/docs/reference/config/istio.operator.v1alpha1/ */
export type IstioOperatorSpec = Infer<typeof spec>;
export type IstioOperator = SpecObject<IstioOperatorSpec>;

/** Never served: a document for `install` and `analyze`. */
export const ISTIO_OPERATOR_KIND = defineIstioKind(ISTIO_OPERATOR, {
  versions: ['v1alpha1'],
  storageVersion: 'v1alpha1',
  category: 'install-istio-io',
  shortNames: ['iop', 'io'],
  spec,
});
