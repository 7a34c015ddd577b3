/** The environment of a container. */
import type { Container } from '../../objects/kubernetes/container.ts';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import type { Service } from '../../objects/kubernetes/service.ts';
import { podField, resourceField, type NodeCapacity } from './downward.ts';

/** What the environment is made from besides the container; lookups return undefined for what does not exist. */
export interface EnvSources {
  readonly pod: Pod;
  readonly podIP: string;
  readonly node: NodeCapacity;
  readonly configMap: (name: string) => Readonly<Record<string, string>> | undefined;
  /** Values decoded. */
  readonly secret: (name: string) => Readonly<Record<string, string>> | undefined;
  /** Services whose addresses are announced, see {@link serviceEnv}. */
  readonly services: readonly Service[];
}

export type EnvResult = { readonly ok: true; readonly env: Readonly<Record<string, string>> } | { readonly ok: false; /** In the words of kubectl. */ readonly message: string };

/** Default PATH of container images, with our own programs last. */
export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/.meltemi/bin';

/**
 * The container's variables in Kubernetes' order of precedence: image, service links, envFrom, env. The message of a missing ConfigMap or Secret is
 * the one of `CreateContainerConfigError`.
 */
export function buildEnv(container: Container, imageEnv: Readonly<Record<string, string>>, sources: EnvSources): EnvResult {
  const env = new Map<string, string>(Object.entries(imageEnv));
  if (!env.has('PATH')) env.set('PATH', DEFAULT_PATH);
  env.set('HOSTNAME', sources.pod.spec.hostname || sources.pod.metadata.name);
  for (const [name, value] of Object.entries(serviceEnv(sources.services, sources.pod))) env.set(name, value);
  const services = new Map(env);
  for (const from of container.envFrom ?? []) {
    const problem = addAll(env, from.prefix ?? '', from.configMapRef, 'configmap', sources.configMap) ?? addAll(env, from.prefix ?? '', from.secretRef, 'secret', sources.secret);
    if (problem) return { ok: false, message: problem };
  }
  // `$(VAR)` sees what was defined before it and the service links, not envFrom's later redefinitions.
  const seen = new Map([...services, ...env]);
  for (const variable of container.env ?? []) {
    const value = variable.valueFrom ? valueFrom(variable.name, variable.valueFrom, container, sources) : { value: expand(variable.value ?? '', seen) };
    if ('problem' in value) return { ok: false, message: value.problem };
    if (value.value === undefined) continue;
    env.set(variable.name, value.value);
    seen.set(variable.name, value.value);
  }
  return { ok: true, env: Object.fromEntries(env) };
}

type ValueFrom = NonNullable<NonNullable<Container['env']>[number]['valueFrom']>;

function valueFrom(name: string, from: ValueFrom, container: Container, sources: EnvSources): { value: string | undefined } | { problem: string } {
  if (from.fieldRef) {
    const value = podField(sources.pod, sources.podIP, from.fieldRef.fieldPath);
    return value === undefined ? { problem: `env "${name}": unsupported fieldPath: ${from.fieldRef.fieldPath}` } : { value };
  }
  if (from.resourceFieldRef) {
    const value = resourceField(sources.pod, container, from.resourceFieldRef, sources.node);
    return value === undefined ? { problem: `env "${name}": unsupported resource: ${from.resourceFieldRef.resource}` } : { value };
  }
  if (from.configMapKeyRef) return keyValue(from.configMapKeyRef, 'configmap', sources.configMap, sources.pod);
  if (from.secretKeyRef) return keyValue(from.secretKeyRef, 'secret', sources.secret, sources.pod);
  return { problem: `env "${name}": valueFrom names nothing that this kubelet knows` };
}

type Lookup = (name: string) => Readonly<Record<string, string>> | undefined;

function keyValue(ref: { readonly name?: string; readonly key: string; readonly optional?: boolean }, kind: string, lookup: Lookup, pod: Pod): { value: string | undefined } | { problem: string } {
  const name = ref.name ?? '';
  const data = lookup(name);
  if (data && Object.hasOwn(data, ref.key)) return { value: data[ref.key]! };
  if (ref.optional) return { value: undefined };
  if (!data) return { problem: `${kind} "${name}" not found` };
  return { problem: `couldn't find key ${ref.key} in ${kind === 'secret' ? 'Secret' : 'ConfigMap'} ${pod.metadata.namespace}/${name}` };
}

function addAll(env: Map<string, string>, prefix: string, ref: { readonly name?: string; readonly optional?: boolean } | undefined, kind: string, lookup: Lookup): string | undefined {
  if (!ref) return undefined;
  const data = lookup(ref.name ?? '');
  if (!data) return ref.optional ? undefined : `${kind} "${ref.name ?? ''}" not found`;
  for (const [key, value] of Object.entries(data)) env.set(prefix + key, value);
  return undefined;
}

/**
 * Replaces `$(NAME)`; `$$` is a dollar, a name that is not defined stays as it is.
 * @see https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
 */
export function expand(text: string, env: ReadonlyMap<string, string>): string {
  return text.replace(/\$\$|\$\(([^)]*)\)/g, (whole, name: string | undefined) => (whole === '$$' ? '$' : (env.get(name ?? '') ?? whole)));
}

/** `NAME_SERVICE_HOST` and its relatives, for services of the pod's namespace and for `kubernetes`. @see https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables */
export function serviceEnv(services: readonly Service[], pod: Pod): Record<string, string> {
  const env: Record<string, string> = {};
  for (const service of services) {
    const ip = service.spec.clusterIP;
    const first = service.spec.ports?.[0];
    const isApi = service.metadata.namespace === 'default' && service.metadata.name === 'kubernetes';
    const linked = pod.spec.enableServiceLinks !== false && service.metadata.namespace === pod.metadata.namespace;
    if (!ip || ip === 'None' || !first || (!isApi && !linked)) continue;
    const prefix = service.metadata.name.toUpperCase().replaceAll('-', '_');
    env[`${prefix}_SERVICE_HOST`] = ip;
    env[`${prefix}_SERVICE_PORT`] = String(first.port);
    env[`${prefix}_PORT`] = `${(first.protocol ?? 'TCP').toLowerCase()}://${ip}:${first.port}`;
    for (const port of service.spec.ports ?? []) {
      if (port.name) env[`${prefix}_SERVICE_PORT_${port.name.toUpperCase().replaceAll('-', '_')}`] = String(port.port);
      const protocol = port.protocol ?? 'TCP';
      const name = `${prefix}_PORT_${port.port}_${protocol}`;
      env[name] = `${protocol.toLowerCase()}://${ip}:${port.port}`;
      env[`${name}_PROTO`] = protocol.toLowerCase();
      env[`${name}_PORT`] = String(port.port);
      env[`${name}_ADDR`] = ip;
    }
  }
  return env;
}
