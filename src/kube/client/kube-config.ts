/** How to reach an API server: from a kubeconfig, or from inside a pod. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { parse } from 'yaml';
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import { AccessError, impersonationOf, pem, text, tokenFileCredentials, userCredentials, type Credentials, type Fields } from './user-credentials.ts';

/** An API server and the right to use it. */
export interface ClusterAccess {
  /** `https://10.96.0.1:443`, without a trailing slash. */
  readonly server: string;
  readonly caPem?: string;
  /** Name expected in the server's certificate when it is not the host of `server`. */
  readonly serverName?: string;
  readonly insecureSkipVerify?: boolean;
  /** `http://host:3128`: how the server is reached. */
  readonly proxyUrl?: string;
  /** Headers that say as whom requests are made. */
  readonly impersonation?: Readonly<Record<string, string | string[]>>;
  /** Namespace of commands that name none. Default `default`. */
  readonly namespace: string;
  /** Asked before every request; answers from a cache unless `refresh` (after a 401) is set. */
  credentials(refresh?: boolean): Promise<Credentials>;
}

interface NamedEntry {
  readonly name?: string;
  readonly cluster?: Fields;
  readonly user?: Fields;
  readonly context?: Fields;
}

interface KubeConfigFile {
  readonly 'current-context'?: string;
  readonly clusters: readonly NamedEntry[];
  readonly users: readonly NamedEntry[];
  readonly contexts: readonly NamedEntry[];
}

export interface KubeConfigOptions {
  /** Path of the kubeconfig; default: `$KUBECONFIG` unless it is empty (several files are merged), then `~/.kube/config`. */
  readonly path?: string;
  /** Default: the current context. */
  readonly context?: string;
  /** Default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** Reads the kubeconfig. Throws {@link AccessError} when it cannot be used. */
export function readKubeConfig(options: KubeConfigOptions = {}): ClusterAccess {
  const env = options.env ?? process.env;
  const paths = (options.path ?? (env['KUBECONFIG'] || join(homedir(), '.kube', 'config'))).split(delimiter).filter((path) => path !== '');
  const files: KubeConfigFile[] = [];
  const failures: string[] = [];
  for (const path of paths) {
    try {
      files.push(parseKubeConfig(readFileSync(path, 'utf8'), dirname(resolve(path))));
    } catch (thrown) {
      failures.push(`${path}: ${messageOf(thrown)}`);
    }
  }
  if (files.length === 0) throw new AccessError(`no usable kubeconfig: ${failures.join('; ')}. Pass --kubeconfig, set KUBECONFIG, or start a mesh on this machine with "meltemi up".`);
  return accessOf(merge(files), options.context);
}

/** Parses one file; paths in it become absolute, relative to `directory`. */
export function parseKubeConfig(text: string, directory: string): KubeConfigFile {
  const file = parse(text) as Fields | null;
  if (typeof file !== 'object' || file === null) throw new AccessError('not a kubeconfig: the file is empty');
  const entries = (name: string): NamedEntry[] => (Array.isArray(file[name]) ? (file[name] as NamedEntry[]) : []);
  const absolute = (fields: Fields | undefined): Fields =>
    Object.fromEntries(Object.entries(fields ?? {}).map(([name, value]) => [name, PATH_FIELDS.has(name) && typeof value === 'string' && value !== '' ? resolve(directory, value) : value]));
  const current = file['current-context'];
  return {
    ...(typeof current === 'string' && current !== '' ? { 'current-context': current } : {}),
    clusters: entries('clusters').map((entry) => ({ ...entry, cluster: absolute(entry.cluster) })),
    users: entries('users').map((entry) => ({ ...entry, user: absolute(entry.user) })),
    contexts: entries('contexts'),
  };
}

const PATH_FIELDS: ReadonlySet<string> = new Set(['certificate-authority', 'client-certificate', 'client-key', 'tokenFile']);

/** First file wins, for the current context and for every name. */
function merge(files: readonly KubeConfigFile[]): KubeConfigFile {
  const current = files.find((file) => file['current-context'])?.['current-context'];
  return {
    ...(current === undefined ? {} : { 'current-context': current }),
    clusters: files.flatMap((file) => file.clusters),
    users: files.flatMap((file) => file.users),
    contexts: files.flatMap((file) => file.contexts),
  };
}

function accessOf(config: KubeConfigFile, contextName = config['current-context']): ClusterAccess {
  if (contextName === undefined) throw new AccessError('the kubeconfig has no current context; choose one with `kubectl config use-context`');
  const context = config.contexts.find((entry) => entry.name === contextName)?.context;
  if (!context) throw new AccessError(`context "${contextName}" is not in the kubeconfig; it has: ${config.contexts.map((entry) => entry.name).join(', ') || 'none'}`);
  const cluster = config.clusters.find((entry) => entry.name === context['cluster'])?.cluster;
  if (!cluster) throw new AccessError(`cluster "${String(context['cluster'])}" of context "${contextName}" is not in the kubeconfig`);
  const user = config.users.find((entry) => entry.name === context['user'])?.user ?? {};
  const server = text(cluster, 'server');
  if (server === undefined) throw new AccessError(`cluster "${String(context['cluster'])}" has no server`);
  const caPem = pem(cluster, 'certificate-authority');
  const serverName = text(cluster, 'tls-server-name');
  const proxyUrl = text(cluster, 'proxy-url');
  if (proxyUrl !== undefined && !/^https?:\/\//.test(proxyUrl)) throw new AccessError(`cluster "${String(context['cluster'])}" has proxy-url "${proxyUrl}": only http and https proxies can be used`);
  const impersonation = impersonationOf(user);
  if (typeof impersonation === 'string') throw new AccessError(`user "${String(context['user'])}" ${impersonation}`);
  return {
    server: server.replace(/\/+$/, ''),
    ...(caPem === undefined ? {} : { caPem }),
    ...(serverName === undefined ? {} : { serverName }),
    ...(cluster['insecure-skip-tls-verify'] === true ? { insecureSkipVerify: true } : {}),
    ...(proxyUrl === undefined ? {} : { proxyUrl }),
    ...(impersonation === undefined ? {} : { impersonation }),
    namespace: text(context, 'namespace') ?? 'default',
    credentials: userCredentials(user, String(context['user']), cluster),
  };
}

export interface InClusterOptions {
  /** Default `/var/run/secrets/kubernetes.io/serviceaccount`. */
  readonly directory?: string;
  /** Default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly clock?: Clock;
}

/** Access with the service account of the pod this program runs in. Throws {@link AccessError} outside of a pod. */
export function inClusterAccess(options: InClusterOptions = {}): ClusterAccess {
  const { directory = '/var/run/secrets/kubernetes.io/serviceaccount', env = process.env, clock } = options;
  const host = env['KUBERNETES_SERVICE_HOST'];
  const port = env['KUBERNETES_SERVICE_PORT'] ?? '443';
  if (!host) throw new AccessError('not inside a cluster: KUBERNETES_SERVICE_HOST is not set; pass --kubeconfig');
  try {
    return {
      server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
      caPem: readFileSync(join(directory, 'ca.crt'), 'utf8'),
      namespace: readOptional(join(directory, 'namespace'))?.trim() || 'default',
      credentials: tokenFileCredentials(join(directory, 'token'), undefined, clock),
    };
  } catch (thrown) {
    throw new AccessError(`the pod has no service account mounted at ${directory}: ${messageOf(thrown)}`);
  }
}

function readOptional(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** As istiod does: the given kubeconfig, else the pod's own account, else the user's kubeconfig. */
export function findClusterAccess(options: KubeConfigOptions = {}): ClusterAccess {
  if (options.path === undefined && (options.env ?? process.env)['KUBERNETES_SERVICE_HOST']) return inClusterAccess(options.env ? { env: options.env } : {});
  return readKubeConfig(options);
}
