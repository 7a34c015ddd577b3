/** Deploys a proxy for every Gateway of Gateway API whose class is ours, and makes the classes. */
import { parse } from 'yaml';
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import { createLogger } from '../../base/log.ts';
import { gatewayDeploymentObjects, GATEWAY_NAME_LABEL, MANAGED_LABEL, type GatewayOverlay, type GatewayPort } from '../../install/gateway-api/deployment.ts';
import { ApiError, type KubeClient } from '../../kube/client/client.ts';
import { createInformer, type InformerEvent } from '../../kube/client/informer.ts';
import type { GatewayClass } from '../../objects/gateway-api/gateway-class.ts';
import type { KubernetesGateway } from '../../objects/gateway-api/gateway.ts';
import type { ListenerSet } from '../../objects/gateway-api/listener-set.ts';
import type { ResourceType } from '../../objects/kind.ts';
import { keyOf, type KubeObject } from '../../objects/meta.ts';
import { DEPLOYMENT, GATEWAY_CLASS, HORIZONTAL_POD_AUTOSCALER, KUBERNETES_GATEWAY, POD_DISRUPTION_BUDGET, SERVICE, SERVICE_ACCOUNT } from '../../objects/resource-types.ts';
import type { GatewayApiFeatures } from '../../resolve/gateway-api/features.ts';
import { builtinClasses, classInfos, defaultDeploymentName, isManaged, NAME_OVERRIDE, SERVICE_ACCOUNT_OVERRIDE, type ClassInfo } from '../../resolve/gateway-api/gateway-class.ts';
import type { ObjectSource } from './object-source.ts';

const log = createLogger('gateways');

const FIELD_MANAGER = 'istio.io/gateway-controller';
const RETRY_MS = 2000;
/** Who made it last, in the numbering of Istio's controllers: an older one leaves a Gateway of a newer one alone. */
const VERSION_ANNOTATION = 'gateway.istio.io/controller-version';
const VERSION = 5;
const DEFAULTS_LABEL = 'gateway.istio.io/defaults-for-class';

const TYPES: readonly ResourceType[] = [SERVICE_ACCOUNT, DEPLOYMENT, SERVICE, HORIZONTAL_POD_AUTOSCALER, POD_DISRUPTION_BUDGET];
/** What is made anew when it goes away. */
const GUARDED: readonly ResourceType[] = [SERVICE_ACCOUNT, DEPLOYMENT, SERVICE];

export interface GatewayDeploymentsOptions {
  readonly client: KubeClient;
  readonly source: ObjectSource;
  readonly features: GatewayApiFeatures;
  readonly systemNamespace: string;
  readonly revision: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Only one control plane leads and deploys. */
export class GatewayDeployments {
  private leading = false;
  private running = false;
  private again = false;
  private retrying = false;
  /** What was applied last for a Gateway, as text. */
  private readonly applied = new Map<string, string>();
  private watching = false;

  constructor(private readonly options: GatewayDeploymentsOptions) {}

  lead(leading: boolean): void {
    this.leading = leading;
    if (!leading) return this.applied.clear();
    this.watch();
    this.reconcile();
  }

  /** Looks at everything again; cheap when nothing changed. */
  reconcile(): void {
    if (!this.leading) return;
    if (this.running) this.again = true;
    else void this.run();
  }

  /** Somebody who changes or removes what was made gets it back. */
  private watch(): void {
    if (this.watching) return;
    this.watching = true;
    const { client, signal } = this.options;
    for (const type of GUARDED) {
      const informer = createInformer<KubeObject>(client, type, { signal, labelSelector: `${MANAGED_LABEL},${GATEWAY_NAME_LABEL}` });
      informer.onEvent((event) => {
        if (!isRelevant(event)) return;
        const { namespace, labels } = event.object.metadata;
        this.applied.delete(`${namespace}/${labels?.[GATEWAY_NAME_LABEL]}`);
        this.reconcile();
      });
    }
  }

  private async run(): Promise<void> {
    this.running = true;
    do {
      this.again = false;
      let failed = false;
      const objects = [...this.options.source.objects()];
      failed = !(await this.attempt('GatewayClasses', () => this.ensureClasses(objects)));
      const gateways = objects.filter((object) => isGatewayApi(object, 'Gateway')) as KubernetesGateway[];
      for (const gateway of gateways) failed = !(await this.attempt(`Gateway ${keyOf(gateway)}`, () => this.ensureGateway(gateway, objects))) || failed;
      const present = new Set(gateways.map(keyOf));
      for (const key of this.applied.keys()) if (!present.has(key)) this.applied.delete(key);
      if (failed) this.retryLater();
    } while (this.again && this.leading && !this.options.signal.aborted);
    this.running = false;
  }

  private retryLater(): void {
    if (this.retrying) return;
    this.retrying = true;
    this.options.clock.after(RETRY_MS, () => {
      this.retrying = false;
      this.reconcile();
    });
  }

  /** False when it has to be tried again. */
  private async attempt(what: string, act: () => Promise<void>): Promise<boolean> {
    if (this.options.signal.aborted) return true;
    try {
      await act();
      return true;
    } catch (error) {
      if (this.options.signal.aborted) return true;
      log.warn('what a Gateway needs could not be made', { for: what, error: messageOf(error) });
      // An API that refuses what we made refuses it again; a missing kind or namespace changes the objects when it comes.
      return error instanceof ApiError && error.code >= 400 && error.code < 500 && error.code !== 409 && error.code !== 429;
    }
  }

  private async ensureClasses(objects: readonly KubeObject[]): Promise<void> {
    const { client, features } = this.options;
    const known = new Set(objects.filter((object) => isGatewayApi(object, 'GatewayClass')).map(({ metadata }) => metadata.name));
    const infos = classInfos(features);
    for (const [name, controller] of builtinClasses(features)) {
      const info = infos.get(controller);
      if (!info || known.has(name)) continue;
      const object = { apiVersion: 'gateway.networking.k8s.io/v1', kind: 'GatewayClass', metadata: { name }, spec: { controllerName: controller, description: info.description } } as GatewayClass;
      try {
        await client.create<GatewayClass>(GATEWAY_CLASS, object, { fieldManager: FIELD_MANAGER });
      } catch (error) {
        // It exists already, or Gateway API is not installed.
        if (!(error instanceof ApiError && (error.code === 409 || error.code === 404))) throw error;
      }
    }
  }

  private async ensureGateway(gateway: KubernetesGateway, objects: readonly KubeObject[]): Promise<void> {
    const { client, features, revision } = this.options;
    const info = this.classOf(gateway, objects);
    const wantedRevision = gateway.metadata.labels?.['istio.io/rev'];
    if (info?.template !== 'kube-gateway' || !isManaged(gateway.spec, features) || gateway.metadata.deletionTimestamp) return;
    if (wantedRevision !== undefined && wantedRevision !== (revision || 'default')) return;
    const version = Number(gateway.metadata.annotations?.[VERSION_ANNOTATION] ?? 0);
    if (version > VERSION) return;
    const annotations = gateway.metadata.annotations ?? {};
    const name = annotations[NAME_OVERRIDE] || defaultDeploymentName(gateway, info);
    const made = gatewayDeploymentObjects({
      gateway, name, revision, serviceAccount: annotations[SERVICE_ACCOUNT_OVERRIDE] || defaultDeploymentName(gateway, info), controllerLabel: info.controllerLabel, serviceType: info.serviceType,
      listeners: [...(gateway.spec.listeners ?? []).map(portOf), ...setListeners(gateway, objects)], overlays: this.overlaysOf(gateway, objects),
    });
    const key = keyOf(gateway);
    const text = JSON.stringify(made);
    if (this.applied.get(key) === text) return;
    for (const object of made) await this.apply(object, gateway);
    if (version !== VERSION) await client.mergePatch(KUBERNETES_GATEWAY, gateway.metadata.name, gateway.metadata.namespace, { metadata: { annotations: { [VERSION_ANNOTATION]: String(VERSION) } } }, { fieldManager: FIELD_MANAGER });
    if (!this.applied.has(key)) log.info('deployed', { gateway: key, as: name });
    this.applied.set(key, text);
  }

  private classOf(gateway: KubernetesGateway, objects: readonly KubeObject[]): ClassInfo | undefined {
    const { features } = this.options;
    const name = gateway.spec.gatewayClassName;
    const found = objects.find((object) => isGatewayApi(object, 'GatewayClass') && object.metadata.name === name) as GatewayClass | undefined;
    return classInfos(features).get(found?.spec.controllerName ?? builtinClasses(features).get(name) ?? '');
  }

  /** What somebody else made under the same name is used as it is. */
  private async apply(object: KubeObject, gateway: KubernetesGateway): Promise<void> {
    const { client } = this.options;
    const type = TYPES.find(({ kind }) => kind === object.kind)!;
    const { name, namespace } = object.metadata;
    const existing = await client.get<KubeObject>(type, name, namespace);
    if (existing && existing.metadata.labels?.[MANAGED_LABEL] === undefined) return log.debug('exists already', { gateway: keyOf(gateway), kind: object.kind, name });
    await client.apply(type, object, { fieldManager: FIELD_MANAGER });
  }

  /** Defaults of the class, then what the Gateway asks for. */
  private overlaysOf(gateway: KubernetesGateway, objects: readonly KubeObject[]): GatewayOverlay[] {
    const maps = objects.filter(({ apiVersion, kind }) => apiVersion === 'v1' && kind === 'ConfigMap');
    const defaults = maps.find(({ metadata }) => metadata.namespace === this.options.systemNamespace && metadata.labels?.[DEFAULTS_LABEL] === gateway.spec.gatewayClassName);
    const reference = gateway.spec.infrastructure?.parametersRef;
    const own = reference?.kind === 'ConfigMap' && reference.group === '' ? maps.find(({ metadata }) => metadata.name === reference.name && metadata.namespace === gateway.metadata.namespace) : undefined;
    if (reference && !own) log.warn('the parameters of a Gateway cannot be found', { gateway: keyOf(gateway), name: reference.name });
    return [defaults, own].flatMap((map) => (map ? [readOverlay(map)] : []));
  }
}

function readOverlay(map: KubeObject & { readonly data?: Readonly<Record<string, string>> }): GatewayOverlay {
  return Object.fromEntries(Object.entries(map.data ?? {}).map(([key, text]) => [key, parse(text) as unknown]));
}

function isGatewayApi({ apiVersion, kind }: KubeObject, wanted: string): boolean {
  return kind === wanted && apiVersion.startsWith('gateway.networking.k8s.io/');
}

/** Listeners that ListenerSets add to the Gateway. */
function setListeners(gateway: KubernetesGateway, objects: readonly KubeObject[]): GatewayPort[] {
  const sets = objects.filter(({ kind }) => kind === 'ListenerSet' || kind === 'XListenerSet') as ListenerSet[];
  const ours = sets.filter(({ metadata, spec }) => spec?.parentRef?.name === gateway.metadata.name && (spec.parentRef.namespace ?? metadata.namespace) === gateway.metadata.namespace);
  return ours.flatMap(({ spec }) => (spec.listeners ?? []).map(portOf));
}

function portOf({ name, port, protocol }: { readonly name?: string; readonly port?: number; readonly protocol?: string }): GatewayPort {
  return { name: name ?? '', port: port ?? 0, protocol: protocol ?? 'TCP' };
}

/** Status changes all the time; only what was asked for matters. */
function isRelevant(event: InformerEvent<KubeObject>): boolean {
  if (event.type === 'deleted') return true;
  if (event.type === 'added') return false;
  const { generation, labels } = event.object.metadata;
  return generation !== event.old.metadata.generation || JSON.stringify(labels) !== JSON.stringify(event.old.metadata.labels);
}
