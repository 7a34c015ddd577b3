// A control plane for tests: the real discovery server and CA on a free port, a token file, a root file.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CertificateAuthority, createSelfSignedCa } from '../../identity/ca.ts';
import type { EncodedResource } from '../../xds/ads.ts';
import { createAdsServer, type AdsServer } from '../../xds/server/ads-server.ts';
import { authenticate, type AuthenticatorOptions } from '../../xds/server/authenticate.ts';
import type { ControlPlaneConnection } from '../certificates/ca-client.ts';

export interface TestControlPlane {
  readonly server: AdsServer;
  readonly connection: ControlPlaneConnection;
  readonly directory: string;
  readonly ca: CertificateAuthority;
  /** Kinds of discovery events, in order. */
  readonly events: string[];
  close(): void;
}

/** Starts it; `resources` are what every proxy gets. Callers are `system:serviceaccount:default:web`. */
export async function startTestControlPlane(resources: () => readonly EncodedResource[], options: { readonly ttlMs?: number } = {}): Promise<TestControlPlane> {
  const nowMs = Date.now();
  const ca = new CertificateAuthority(createSelfSignedCa({ organization: 'cluster.local', nowMs }), nowMs);
  const directory = mkdtempSync(join(tmpdir(), 'meltemi-agent-'));
  writeFileSync(join(directory, 'root-cert.pem'), ca.rootCertPem);
  writeFileSync(join(directory, 'token'), 'the-token');
  const events: string[] = [];
  const auth: AuthenticatorOptions = {
    trustDomain: () => 'cluster.local', trustedRootsPem: () => ca.rootCertPem, now: () => Date.now(),
    reviewToken: (token) => Promise.resolve(token === 'the-token' ? 'system:serviceaccount:default:web' : undefined),
  };
  const server = createAdsServer({
    viewFor: () => ({ version: String(Date.now()), resources: (typeUrl) => new Map(resources().filter((one) => one.typeUrl === typeUrl).map((one) => [one.name, one])) }),
    authenticate: (credentials) => authenticate(credentials, auth),
    certificates: { authority: () => ca, authenticate: (credentials) => authenticate(credentials, auth), now: () => Date.now(), onEvent: () => {}, ...(options.ttlMs === undefined ? {} : { defaultTtlMs: options.ttlMs }) },
    now: () => Date.now(),
    onEvent: (event) => events.push(JSON.stringify(event, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value instanceof Map ? [...value] : value))),
  });
  const port = await server.listenTls('127.0.0.1:0', { ...ca.issueServerCertificate({ dnsNames: ['localhost'], ttlMs: 3_600_000, nowMs }), rootsPem: ca.rootCertPem });
  return {
    server, directory, ca, events,
    connection: { address: `localhost:${port}`, rootPath: join(directory, 'root-cert.pem'), tokenPath: join(directory, 'token') },
    close: () => (server.close(), rmSync(directory, { recursive: true, force: true })),
  };
}
