/** Defaults and checks of pod specs, shared by pods and by the templates of workloads. */
import { isObject, listAt, own, textAt } from '../../json.ts';
import { duplicate, forbiddenField, invalidValue, notSupported, required, type Cause } from '../../status.ts';
import { checkLabels, checkName } from '../names.ts';

type Fields = Record<string, unknown>;

const CONTAINER_LISTS = ['initContainers', 'containers'] as const;

/** Defaults of a pod spec that depend on other fields; those that do not are in the schema. */
export function defaultPodSpec(spec: unknown): void {
  if (!isObject(spec)) return;
  const account = own(spec, 'serviceAccountName') ?? own(spec, 'serviceAccount');
  if (account !== undefined) {
    spec['serviceAccountName'] = account;
    spec['serviceAccount'] = account;
  }
  for (const list of CONTAINER_LISTS) for (const container of listAt(spec, list)) if (isObject(container)) defaultContainer(container);
  for (const volume of listAt(spec, 'volumes')) {
    if (isObject(volume) && Object.keys(volume).length === 1) volume['emptyDir'] = {};
  }
}

function defaultContainer(container: Fields): void {
  const image = textAt(container, 'image');
  if (container['imagePullPolicy'] === undefined && image !== '') {
    const tag = /:([^/:@]+)$/.exec(image.split('@')[0]!)?.[1];
    container['imagePullPolicy'] = !image.includes('@') && (tag === undefined || tag === 'latest') ? 'Always' : 'IfNotPresent';
  }
  container['resources'] ??= {};
  const { limits, requests } = container['resources'] as { limits?: Fields; requests?: Fields };
  // A limit without a request asks for the limit.
  if (limits) (container['resources'] as Fields)['requests'] = { ...limits, ...requests };
}

/** What is wrong with a pod spec at `path`. `otherVolumes`: names that may be mounted without being in its volumes. */
export function checkPodSpec(spec: unknown, path: string, otherVolumes: readonly string[] = []): Cause[] {
  if (!isObject(spec)) return [required(path)];
  const causes: Cause[] = [];
  const volumes = new Set([...otherVolumes, ...listAt(spec, 'volumes').map((volume) => textAt(volume, 'name'))]);
  const volumeNames = new Set<string>();
  listAt(spec, 'volumes').forEach((volume, index) => {
    const name = textAt(volume, 'name');
    if (volumeNames.has(name)) causes.push(duplicate(`${path}.volumes[${index}].name`, name));
    else causes.push(...checkName(name, 'label', `${path}.volumes[${index}].name`));
    volumeNames.add(name);
  });
  const names = new Set<string>();
  if (listAt(spec, 'containers').length === 0) causes.push(required(`${path}.containers`));
  for (const list of CONTAINER_LISTS) {
    listAt(spec, list).forEach((container, index) => {
      const at = `${path}.${list}[${index}]`;
      const name = textAt(container, 'name');
      if (name === '') causes.push(required(`${at}.name`));
      else if (names.has(name)) causes.push(duplicate(`${at}.name`, name));
      else causes.push(...checkName(name, 'label', `${at}.name`));
      names.add(name);
      if (textAt(container, 'image') === '') causes.push(required(`${at}.image`));
      causes.push(...checkContainer(container, at, volumes));
    });
  }
  const account = textAt(spec, 'serviceAccountName');
  if (account !== '') causes.push(...checkName(account, 'subdomain', `${path}.serviceAccountName`));
  return causes;
}

function checkContainer(container: unknown, path: string, volumes: ReadonlySet<string>): Cause[] {
  const causes: Cause[] = [];
  const policy = own(container, 'imagePullPolicy');
  if (policy !== undefined && !['Always', 'IfNotPresent', 'Never'].includes(String(policy))) causes.push(notSupported(`${path}.imagePullPolicy`, policy, ['Always', 'IfNotPresent', 'Never']));
  const portNames = new Set<string>();
  listAt(container, 'ports').forEach((port, index) => {
    causes.push(...checkPort(own(port, 'containerPort'), `${path}.ports[${index}].containerPort`));
    const name = textAt(port, 'name');
    if (name !== '' && portNames.has(name)) causes.push(duplicate(`${path}.ports[${index}].name`, name));
    portNames.add(name);
    if (name.length > 15) causes.push(invalidValue(`${path}.ports[${index}].name`, name, 'must be no more than 15 characters'));
  });
  const mounts = new Set<string>();
  listAt(container, 'volumeMounts').forEach((mount, index) => {
    const name = textAt(mount, 'name');
    if (!volumes.has(name)) causes.push({ reason: 'FieldValueNotFound', message: `Not found: ${JSON.stringify(name)}`, field: `${path}.volumeMounts[${index}].name` });
    const mountPath = textAt(mount, 'mountPath');
    if (mounts.has(mountPath)) causes.push(invalidValue(`${path}.volumeMounts[${index}].mountPath`, mountPath, 'must be unique'));
    mounts.add(mountPath);
  });
  listAt(container, 'env').forEach((variable, index) => {
    const value = own(variable, 'value');
    if (typeof value === 'string' && value !== '' && own(variable, 'valueFrom') !== undefined) causes.push(invalidValue(`${path}.env[${index}].valueFrom`, '', 'may not be specified when `value` is not empty'));
  });
  return causes;
}

/** A port must be 1–65535. */
export function checkPort(port: unknown, field: string): Cause[] {
  return typeof port === 'number' && port >= 1 && port <= 65535 ? [] : [invalidValue(field, port ?? 0, 'must be between 1 and 65535, inclusive')];
}

/** What is wrong with a pod template at `path`. */
export function checkPodTemplate(template: unknown, path: string, otherVolumes: readonly string[] = []): Cause[] {
  return [...checkPodSpec(own(template, 'spec'), `${path}.spec`, otherVolumes), ...checkLabels(own(own(template, 'metadata'), 'labels'), `${path}.metadata.labels`)];
}

/** What is wrong with a workload's template and number of replicas. */
export function checkTemplate(spec: unknown): Cause[] {
  const template = own(spec, 'template');
  const claims = listAt(spec, 'volumeClaimTemplates').map((claim) => textAt(claim, 'metadata', 'name'));
  const causes = checkPodTemplate(template, 'spec.template', claims);
  const policy = textAt(template, 'spec', 'restartPolicy');
  if (policy !== '' && policy !== 'Always') causes.push(notSupported('spec.template.spec.restartPolicy', policy, ['Always']));
  const replicas = own(spec, 'replicas');
  if (typeof replicas === 'number' && replicas < 0) causes.push(invalidValue('spec.replicas', replicas, 'must be greater than or equal to 0'));
  return causes;
}

/** The rest of a spec may not change once set. */
export function checkImmutable(now: unknown, before: unknown, field: string, equalTo: (a: unknown, b: unknown) => boolean): Cause[] {
  return equalTo(now, before) ? [] : [invalidValue(field, now, 'field is immutable')];
}

/** Refuses what pod updates may not touch. */
export function podUpdateForbidden(path: string): Cause {
  return forbiddenField(path, 'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)');
}
