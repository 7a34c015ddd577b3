/** Everything an installation is, in the order it is applied. */
import type { KubeObject } from '../objects/meta.ts';
import { gatewayObjects } from './gateways.ts';
import { istiodObjects } from './istiod.ts';
import type { OperatorSpec } from './operator.ts';
import { DEFAULT_VALUES, mergeValues, valueAt } from './values.ts';

/** One step of an installation: what it is called on screen, its objects, and the deployments that must be ready before the next step. */
export interface InstallStep {
  /** `Istio core`, `Istiod`, `Ingress gateways`, `Egress gateways`: as istioctl prints them. */
  readonly title: string;
  readonly objects: readonly KubeObject[];
  readonly waitFor: readonly { readonly namespace: string; readonly name: string }[];
}

export interface ManifestInputs {
  /** Tag of the images; the package's version. */
  readonly version: string;
  readonly crds: readonly KubeObject[];
  /** Webhook configurations for the injector and the validator. */
  readonly webhooks: readonly KubeObject[];
}

/** The steps that bring a spec about. Gateways come after istiod because their pods are injected. */
export function installSteps(spec: OperatorSpec, inputs: ManifestInputs): readonly InstallStep[] {
  const overlay = { global: { ...(spec.hub !== undefined && { hub: spec.hub }), tag: spec.tag ?? inputs.version }, ...(spec.revision !== undefined && { revision: spec.revision }) };
  const values = mergeValues(mergeValues(DEFAULT_VALUES, overlay), spec.values);
  const namespace = spec.namespace ?? String(valueAt(values, 'global.istioNamespace'));
  const gateways = (title: string, components: OperatorSpec['components']['ingressGateways'], direction: 'ingress' | 'egress'): InstallStep => {
    const enabled = components.filter((component) => component.enabled);
    return { title, objects: enabled.flatMap((component) => gatewayObjects(component, direction, namespace)), waitFor: enabled.map(({ name }) => ({ namespace, name })) };
  };
  const steps: InstallStep[] = [
    { title: 'Istio core', objects: spec.components.base.enabled ? [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } } as KubeObject, ...inputs.crds] : [], waitFor: [] },
    { title: 'Istiod', objects: spec.components.pilot.enabled ? [...istiodObjects({ namespace, values, meshConfig: spec.meshConfig }), ...inputs.webhooks] : [], waitFor: spec.components.pilot.enabled ? [{ namespace, name: 'istiod' }] : [] },
    gateways('Ingress gateways', spec.components.ingressGateways, 'ingress'),
    gateways('Egress gateways', spec.components.egressGateways, 'egress'),
  ];
  return steps.filter((step) => step.objects.length > 0);
}
