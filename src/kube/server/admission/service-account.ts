import type { KubeObject } from '../../../objects/meta.ts';
import { storageKey } from '../api/storage-key.ts';
import { isObject, listAt, own, textAt } from '../json.ts';
import type { AdmissionAttributes, Draft, Environment } from '../rest/context.ts';
import { randomSuffix } from '../rest/names.ts';
import { forbidden } from '../status.ts';

const MOUNT_PATH = '/var/run/secrets/kubernetes.io/serviceaccount';
/** Below an hour plus a little, so that the kubelet's check for "was it asked to expire" tells it from a user's own hour. */
const TOKEN_SECONDS = 3607;
/** How long a new namespace's controller may take to make its default account. */
const ACCOUNT_WAIT_MS = 1000;

const ACCOUNTS = { group: '', plural: 'serviceaccounts' };

/**
 * Gives a new pod its service account, and the volume with its token, the cluster's root certificate and its namespace.
 * @throws ApiError 403 when the account does not exist
 * @see https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#serviceaccount-admission-controller
 */
export async function admitServiceAccount(draft: Draft, { operation, resource, namespace, subresource }: AdmissionAttributes, env: Environment): Promise<void> {
  if (operation !== 'CREATE' || subresource !== '' || !isObject(draft['spec'])) return;
  const spec = draft['spec'];
  if (textAt(spec, 'serviceAccountName') === '') spec['serviceAccountName'] = 'default';
  const name = textAt(spec, 'serviceAccountName');
  spec['serviceAccount'] = name;
  const account = await findAccount(env, name, namespace);
  if (!account) throw forbidden(resource, textAt(draft.metadata, 'name') || textAt(draft.metadata, 'generateName'), `error looking up service account ${namespace}/${name}: serviceaccount "${name}" not found`);
  if (listAt(spec, 'imagePullSecrets').length === 0 && listAt(account, 'imagePullSecrets').length > 0) spec['imagePullSecrets'] = listAt(account, 'imagePullSecrets');
  const automount = own(spec, 'automountServiceAccountToken') ?? own(account, 'automountServiceAccountToken') ?? true;
  if (automount !== false) mountToken(spec);
}

async function findAccount(env: Environment, name: string, namespace: string | undefined): Promise<KubeObject | undefined> {
  const find = (): KubeObject | undefined => env.store.get(storageKey(ACCOUNTS, name, namespace))?.object;
  const deadline = env.now() + ACCOUNT_WAIT_MS;
  while (!find() && env.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 25));
  return find();
}

function mountToken(spec: Record<string, unknown>): void {
  const containers = [...listAt(spec, 'initContainers'), ...listAt(spec, 'containers')].filter(isObject);
  const without = containers.filter((container) => !listAt(container, 'volumeMounts').some((mount) => textAt(mount, 'mountPath') === MOUNT_PATH));
  if (without.length === 0) return;
  const volumes = [...listAt(spec, 'volumes')];
  let name = volumes.map((volume) => textAt(volume, 'name')).find((one) => one.startsWith('kube-api-access-'));
  if (!name) {
    name = `kube-api-access-${randomSuffix()}`;
    volumes.push(tokenVolume(name));
    spec['volumes'] = volumes;
  }
  for (const container of without) container['volumeMounts'] = [...listAt(container, 'volumeMounts'), { mountPath: MOUNT_PATH, name, readOnly: true }];
}

function tokenVolume(name: string): unknown {
  return {
    name,
    projected: {
      defaultMode: 420,
      sources: [
        { serviceAccountToken: { expirationSeconds: TOKEN_SECONDS, path: 'token' } },
        { configMap: { items: [{ key: 'ca.crt', path: 'ca.crt' }], name: 'kube-root-ca.crt' } },
        { downwardAPI: { items: [{ fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' }, path: 'namespace' }] } },
      ],
    },
  };
}
