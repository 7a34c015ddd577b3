/** Who a kubeconfig's user is: tokens, files that are renewed, client certificates, exec plugins, impersonation. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { systemClock, type Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';

/** What is presented to the API server besides a client certificate. */
export interface Credentials {
  /** Value of the `authorization` header. */
  readonly authorization?: string;
  readonly certPem?: string;
  readonly keyPem?: string;
}

/** Gives credentials; `refresh`: those given last were refused. */
export type CredentialSource = (refresh?: boolean) => Promise<Credentials>;

/** A kubeconfig or an environment that cannot be used; the message says why and what to do. */
export class AccessError extends Error {
  override name = 'AccessError';
}

/** A part of a kubeconfig, as it was written. */
export type Fields = Readonly<Record<string, unknown>>;

/** A text that is not empty. */
export function text(fields: Fields, name: string): string | undefined {
  const value = fields[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** `<name>-data` in base64 wins over the file `<name>`, as in client-go. */
export function pem(fields: Fields, name: string): string | undefined {
  const data = text(fields, `${name}-data`);
  if (data !== undefined) return Buffer.from(data, 'base64').toString('utf8');
  const path = text(fields, name);
  return path === undefined ? undefined : readFileSync(path, 'utf8');
}

/** Credentials of a kubeconfig's user; `cluster` is what an exec plugin may ask about. Throws {@link AccessError}. */
export function userCredentials(user: Fields, name: string, cluster: Fields): CredentialSource {
  const certificate = certificateSource(user);
  const tokenFile = text(user, 'tokenFile');
  const token = text(user, 'token');
  const username = text(user, 'username');
  if (user['exec'] !== undefined) return execCredentials(user['exec'] as Fields, name, certificate, cluster);
  if (user['auth-provider'] !== undefined) throw new AccessError(`user "${name}" uses an auth-provider, which Kubernetes has removed; use an exec credential plugin`);
  if (tokenFile !== undefined) return tokenFileCredentials(tokenFile, certificate);
  const authorization = token !== undefined ? `Bearer ${token}` : username !== undefined ? `Basic ${Buffer.from(`${username}:${text(user, 'password') ?? ''}`).toString('base64')}` : undefined;
  return async (refresh) => ({ ...certificate(refresh), ...(authorization === undefined ? {} : { authorization }) });
}

const REREAD_MS = 60_000;

/** The client certificate: read again every minute and after a refusal when it is in files, because somebody renews them. */
function certificateSource(user: Fields, clock: Clock = systemClock): (refresh?: boolean) => Credentials {
  const read = (): Credentials => {
    const certPem = pem(user, 'client-certificate');
    const keyPem = pem(user, 'client-key');
    return certPem !== undefined && keyPem !== undefined ? { certPem, keyPem } : {};
  };
  const inFiles = ['client-certificate', 'client-key'].some((field) => text(user, `${field}-data`) === undefined && text(user, field) !== undefined);
  let current = read();
  let readAtMs = clock.now();
  return (refresh) => {
    if (!inFiles || (!refresh && clock.now() - readAtMs < REREAD_MS)) return current;
    readAtMs = clock.now();
    try {
      current = read();
    } catch {
      // The last ones may still be good while the files are being replaced.
    }
    return current;
  };
}

const NO_CERTIFICATE = (): Credentials => ({});

/** A token in a file that its writer renews; read again every minute and after a refusal. */
export function tokenFileCredentials(path: string, certificate: (refresh?: boolean) => Credentials = NO_CERTIFICATE, clock: Clock = systemClock): CredentialSource {
  let authorization: string | undefined;
  let readAtMs = 0;
  return async (refresh) => {
    if (authorization === undefined || refresh || clock.now() - readAtMs > REREAD_MS) {
      try {
        authorization = `Bearer ${readFileSync(path, 'utf8').trim()}`;
        readAtMs = clock.now();
      } catch (thrown) {
        // The last token may still be good while the file is being replaced.
        if (authorization === undefined) throw new AccessError(`cannot read the token: ${messageOf(thrown)}`);
      }
    }
    return { ...certificate(refresh), authorization };
  };
}

/** Headers of `as`, `as-groups`, `as-uid` and `as-user-extra`; a text says what is wrong with them. */
export function impersonationOf(user: Fields): Readonly<Record<string, string | string[]>> | string | undefined {
  const as = text(user, 'as');
  const uid = text(user, 'as-uid');
  const groups = Array.isArray(user['as-groups']) ? user['as-groups'].map(String) : [];
  const extra = typeof user['as-user-extra'] === 'object' && user['as-user-extra'] !== null ? Object.entries(user['as-user-extra'] as Fields) : [];
  if (as === undefined) return uid !== undefined || groups.length > 0 || extra.length > 0 ? 'impersonates a uid, groups or extra without impersonating a user (`as`)' : undefined;
  return {
    'impersonate-user': as,
    ...(uid === undefined ? {} : { 'impersonate-uid': uid }),
    ...(groups.length > 0 ? { 'impersonate-group': groups } : {}),
    ...Object.fromEntries(extra.map(([key, values]) => [`impersonate-extra-${encodeURIComponent(key.toLowerCase())}`, Array.isArray(values) ? values.map(String) : [String(values)]])),
  };
}

const EXEC_VERSIONS: ReadonlySet<string> = new Set(['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1']);

/** An exec credential plugin. @see https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins */
function execCredentials(exec: Fields, userName: string, certificate: (refresh?: boolean) => Credentials, cluster: Fields): CredentialSource {
  const command = text(exec, 'command');
  if (command === undefined) throw new AccessError(`the exec plugin of user "${userName}" has no command`);
  const apiVersion = text(exec, 'apiVersion') ?? 'client.authentication.k8s.io/v1';
  if (!EXEC_VERSIONS.has(apiVersion)) throw new AccessError(`the exec plugin "${command}" of user "${userName}" has apiVersion ${apiVersion}; it must be ${[...EXEC_VERSIONS].join(' or ')}`);
  if (text(exec, 'interactiveMode') === 'Always') throw new AccessError(`the exec plugin "${command}" of user "${userName}" wants a terminal (interactiveMode: Always); there is none here`);
  const args = Array.isArray(exec['args']) ? exec['args'].map(String) : [];
  const variables = Array.isArray(exec['env']) ? (exec['env'] as { name: string; value: string }[]) : [];
  const info = { apiVersion, kind: 'ExecCredential', spec: { interactive: false, ...(exec['provideClusterInfo'] === true ? { cluster: clusterInfo(cluster) } : {}) } };
  let cached: { readonly credentials: Credentials; readonly expiresAtMs: number } | undefined;
  let running: Promise<Credentials> | undefined;
  const run = async (): Promise<Credentials> => {
    const env = { ...process.env, ...Object.fromEntries(variables.map(({ name, value }) => [name, value])), KUBERNETES_EXEC_INFO: JSON.stringify(info) };
    try {
      const { stdout } = await promisify(execFile)(command, args, { env, timeout: 60_000, maxBuffer: 1 << 20 });
      const answer = JSON.parse(stdout) as { readonly apiVersion?: string; readonly status?: Fields };
      if (answer.apiVersion !== apiVersion) throw new Error(`it answered in ${String(answer.apiVersion)}, not ${apiVersion}`);
      const status = answer.status ?? {};
      const [token, certPem, keyPem] = ['token', 'clientCertificateData', 'clientKeyData'].map((field) => text(status, field));
      if (token === undefined && (certPem === undefined || keyPem === undefined)) throw new Error('it gave neither a token nor a certificate with its key');
      const expiry = Date.parse(text(status, 'expirationTimestamp') ?? '');
      const credentials = { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...(certPem !== undefined && keyPem !== undefined ? { certPem, keyPem } : {}) };
      cached = { credentials, expiresAtMs: Number.isNaN(expiry) ? Infinity : expiry };
      return credentials;
    } catch (thrown) {
      const missing = (thrown as { readonly code?: unknown }).code === 'ENOENT';
      throw new AccessError(`the exec plugin "${command}" of user "${userName}" failed: ${missing ? 'it is not installed' : messageOf(thrown)}${missing && text(exec, 'installHint') !== undefined ? `. ${text(exec, 'installHint')!}` : ''}`);
    }
  };
  return async (refresh) => {
    if (cached && !refresh && systemClock.now() < cached.expiresAtMs - 10_000) return { ...certificate(), ...cached.credentials };
    // Requests at the same time share one run.
    running ??= run().finally(() => (running = undefined));
    return { ...certificate(refresh), ...(await running) };
  };
}

/** What a plugin is told of the cluster. */
function clusterInfo(cluster: Fields): Fields {
  const ca = pem(cluster, 'certificate-authority');
  const names = ['server', 'tls-server-name', 'proxy-url', 'insecure-skip-tls-verify'].filter((name) => cluster[name] !== undefined);
  return { ...Object.fromEntries(names.map((name) => [name, cluster[name]])), ...(ca === undefined ? {} : { 'certificate-authority-data': Buffer.from(ca).toString('base64') }) };
}
