/** Which Ingresses are ours and where they are served, from the mesh config. */
import { Cursor } from '../cursor.ts';

export interface IngressSettings {
  /** STRICT: only Ingresses of our class. DEFAULT: also those without a class. */
  readonly mode: 'OFF' | 'DEFAULT' | 'STRICT';
  /** Value of annotation `kubernetes.io/ingress.class`. */
  readonly className: string;
  /** Labels of the gateway that serves them. */
  readonly selector: Readonly<Record<string, string>>;
  /** Name of the Service that leads to it; '' when there is none to take addresses from. */
  readonly serviceName: string;
  /** Namespace of the gateway. */
  readonly namespace: string;
}

/** `ingressControllerMode`, `ingressClass`, `ingressSelector` and `ingressService`, with Istio's defaults. */
export function ingressSettings(meshConfig: unknown, namespace: string): IngressSettings {
  const mesh = new Cursor(meshConfig ?? {}, '', () => {});
  const service = mesh.at('ingressService').text() ?? 'istio-ingressgateway';
  const selector = mesh.at('ingressSelector').string() || (service === 'istio-ingressgateway' || service === '' ? 'ingressgateway' : service);
  const mode = mesh.at('ingressControllerMode').oneOf(['UNSPECIFIED', 'OFF', 'DEFAULT', 'STRICT']);
  return {
    mode: mode === 'OFF' || mode === 'DEFAULT' ? mode : 'STRICT', className: mesh.at('ingressClass').string() || 'istio',
    selector: { istio: selector }, serviceName: service, namespace,
  };
}

/** The controller of our IngressClasses. */
export const INGRESS_CONTROLLER = 'istio.io/ingress-controller';

/** Is an Ingress ours? `annotation` is undefined when it has none; `classController` when it names no class (or one that does not exist). */
export function isOurIngress(settings: Pick<IngressSettings, 'mode' | 'className'>, annotation: string | undefined, classController: string | undefined): boolean {
  if (annotation !== undefined) return settings.mode !== 'OFF' && annotation === settings.className;
  if (classController !== undefined) return classController === INGRESS_CONTROLLER;
  return settings.mode === 'DEFAULT';
}
