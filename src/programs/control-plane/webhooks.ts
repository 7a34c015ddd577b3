/** Port 15017: the injection and validation webhooks over HTTPS, and the CA bundle in their configurations. */
import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { parseAllDocuments } from 'yaml';
import { messageOf } from '../../base/errors.ts';
import type { Clock } from '../../base/clock.ts';
import { createLogger } from '../../base/log.ts';
import { mergeBundles } from '../../identity/trust-bundle.ts';
import type { InjectionContext } from '../../admission/inject/types.ts';
import { reviewInjection, type AdmissionReview, type InjectionOutcome } from '../../admission/webhook.ts';
import type { WebhookPatch } from './metrics.ts';
import { portOf } from './options.ts';
import { hasErrors, type Issue } from '../../base/issue.ts';
import { ApiError, type KubeClient } from '../../kube/client/client.ts';
import { createInformer } from '../../kube/client/informer.ts';
import type { ResourceType } from '../../objects/kind.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { MUTATING_WEBHOOK_CONFIGURATION, VALIDATING_WEBHOOK_CONFIGURATION } from '../../objects/resource-types.ts';
import type { ServerIdentity } from '../../xds/server/grpc-server.ts';

const log = createLogger('webhook');

/** The API server sends objects of at most 3 MiB. */
const MAX_BODY_BYTES = 8 * 1024 * 1024;

export interface WebhookServerOptions {
  readonly identity: () => ServerIdentity;
  readonly injectionContext: (namespace: string) => InjectionContext;
  /** What the mesh has to say about an object that is about to be stored: warnings only. */
  readonly notes: (object: KubeObject) => readonly Issue[];
  readonly onInjection: (outcome: InjectionOutcome, seconds: number) => void;
  readonly onValidation: (passed: boolean) => void;
  /** A validation request could not be reviewed. */
  readonly onValidationError: (httpStatus: number) => void;
}

/** Starts to listen. `rotate` takes the newest identity for new connections. */
export async function serveWebhooks(address: { readonly host: string; readonly port: number }, options: WebhookServerOptions): Promise<{ readonly server: Server; readonly port: number; rotate(): void }> {
  const context = () => ({ key: options.identity().privateKeyPem, cert: options.identity().certificateChainPem, minVersion: 'TLSv1.2' as const });
  const server = createServer(context(), (request, response) => {
    answer(request, response, options).catch((error: unknown) => {
      log.error('a review failed', { url: request.url ?? '', error: messageOf(error) });
      if (isValidation(request.url)) options.onValidationError(500);
      reply(response, 500, { message: messageOf(error) });
    });
  });
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(address.port, address.host, resolve));
  return { server, port: portOf(server), rotate: () => server.setSecureContext(context()) };
}

async function answer(request: IncomingMessage, response: ServerResponse, options: WebhookServerOptions): Promise<void> {
  const path = (request.url ?? '').split('?')[0]!;
  if (path === '/ready') return reply(response, 200, 'ok');
  if (request.method !== 'POST' || !/^\/(inject|validate)(\/|$)/.test(path)) return reply(response, 404, { message: `no such path: ${path}` });
  const refuse = (code: number, message: string) => {
    if (isValidation(path)) options.onValidationError(code);
    return reply(response, code, { message });
  };
  const body = await readBody(request);
  if (body === undefined) return refuse(413, `the request is larger than ${MAX_BODY_BYTES} bytes`);
  const review = parseReview(body);
  if (!review) return refuse(400, 'the body is not an AdmissionReview');
  if (isValidation(path)) return reply(response, 200, await validate(review, options));
  const started = performance.now();
  const result = reviewInjection(review, options.injectionContext(review.request?.namespace ?? 'default'));
  options.onInjection(result.outcome, (performance.now() - started) / 1000);
  if (result.outcome === 'failure') log.warn('a pod cannot be injected', { namespace: review.request?.namespace ?? '', reason: result.message ?? '' });
  return reply(response, 200, result.review);
}

const isValidation = (url = ''): boolean => url.startsWith('/validate');

async function validate(review: AdmissionReview, options: WebhookServerOptions): Promise<AdmissionReview> {
  const { validateIstioObject } = await import('../../objects/istio/validate.ts');
  const object = review.request?.object as unknown as KubeObject | null | undefined;
  const invalid = object ? validateIstioObject(object) : [];
  const refused = hasErrors(invalid);
  const issues = object && !refused ? [...invalid, ...options.notes(object)] : invalid;
  options.onValidation(!refused);
  const line = (issue: Issue) => `${issue.path ? `${issue.path}: ` : ''}${issue.message}${issue.fix ? ` (${issue.fix})` : ''}`;
  const warnings = issues.filter((issue) => issue.severity === 'warning').map((issue) => line({ ...issue, ...(issue.fix !== undefined && { fix: onOneLine(issue.fix) }) }));
  const errors = issues.filter((issue) => issue.severity === 'error').map((issue) => (issue.fix?.includes('\n') ? `${line({ ...issue, fix: 'as it was probably meant:' })}\n\n${issue.fix}` : line(issue)));
  return {
    apiVersion: review.apiVersion ?? 'admission.k8s.io/v1', kind: 'AdmissionReview',
    response: { uid: review.request?.uid ?? '', allowed: !refused, ...(warnings.length > 0 && { warnings }), ...(refused && { status: { code: 400, message: `configuration is invalid: ${errors.join('; ')}` } }) },
  };
}

/** A warning is a header, which has no line feeds: YAML of several lines is told in its flow form. */
function onOneLine(fix: string): string {
  if (!fix.includes('\n')) return fix;
  return parseAllDocuments(fix).map((document) => JSON.stringify(document.toJS())).join(' --- ');
}

function parseReview(body: string): AdmissionReview | undefined {
  try {
    const value = JSON.parse(body) as unknown;
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as AdmissionReview) : undefined;
  } catch {
    return undefined;
  }
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function reply(response: ServerResponse, code: number, body: unknown): void {
  if (response.headersSent) return;
  response.writeHead(code, { 'content-type': 'application/json' }).end(typeof body === 'string' ? body : JSON.stringify(body));
}

type Webhook = Readonly<Record<string, unknown>> & { readonly clientConfig?: { readonly service?: { readonly name?: string; readonly namespace?: string }; readonly caBundle?: string }; readonly failurePolicy?: string };
type Configuration = KubeObject & { readonly webhooks?: readonly Webhook[] };

export interface CaBundleOptions {
  readonly client: KubeClient;
  readonly systemNamespace: string;
  readonly rootCertPem: () => string;
  readonly onPatch: (patch: WebhookPatch) => void;
  readonly signal: AbortSignal;
}

/**
 * Writes the mesh's root into every webhook that calls our service, whenever a configuration appears or changes, and lets validation fail closed now that
 * it is served. Resolves when the first round is written; the returned function does another (the root changed).
 */
export async function maintainCaBundles(options: CaBundleOptions): Promise<() => Promise<void>> {
  const { client, signal, onPatch } = options;
  const kinds = [MUTATING_WEBHOOK_CONFIGURATION, VALIDATING_WEBHOOK_CONFIGURATION].map((type) => ({ type, informer: createInformer<Configuration>(client, type, { signal }) }));
  const ensure = async (type: ResourceType, configuration: Configuration) => {
    const webhooks = patched(configuration, type === VALIDATING_WEBHOOK_CONFIGURATION, options);
    if (!webhooks) return;
    const patch = { configuration: configuration.metadata.name, validating: type === VALIDATING_WEBHOOK_CONFIGURATION };
    try {
      await client.mergePatch(type, configuration.metadata.name, undefined, { webhooks });
    } catch (error) {
      onPatch({ ...patch, failure: error instanceof ApiError ? error.reason : 'Unknown' });
      throw error;
    }
    onPatch({ ...patch, failure: '' });
    log.info('wrote the CA bundle', { configuration: configuration.metadata.name });
  };
  const round = async () => {
    for (const { type, informer } of kinds)
      for (const configuration of informer.items().values()) await ensure(type, configuration).catch((error: unknown) => log.warn('the CA bundle could not be written', { configuration: configuration.metadata.name, error: messageOf(error) }));
  };
  await Promise.all(kinds.map(({ informer }) => informer.synced));
  await round();
  for (const { type, informer } of kinds)
    informer.onEvent((event) => {
      if (event.type !== 'deleted') ensure(type, event.object).catch((error: unknown) => log.warn('the CA bundle could not be written', { configuration: event.object.metadata.name, error: messageOf(error) }));
    });
  return round;
}

/** The API server reads a changed bundle within moments; until then it must know the certificate it meets. */
const BUNDLE_SETTLES_MS = 1000;

export interface WebhookRotation {
  /** Roots of the newest certificate, PEM. */
  readonly rootCertPem: () => string;
  /** Writes {@link WebhookRotation.bundlePem} into the configurations. */
  readonly writeBundles: () => Promise<void>;
  /** Serves the newest certificate. */
  readonly serve: () => void;
  readonly clock: Clock;
}

/** Changes what webhooks serve without a moment in which the API server refuses them: first the bundle names both roots, then the certificate changes, then the old root goes. */
export class WebhookRotator {
  private served: string;
  private settling = false;

  constructor(private readonly options: Omit<WebhookRotation, 'writeBundles' | 'serve'>) {
    this.served = options.rootCertPem();
  }

  /** What the API server is told to believe. */
  bundlePem(): string {
    return mergeBundles(this.options.rootCertPem(), this.served);
  }

  /** Call it when the certificate or its roots changed. */
  rotate({ writeBundles, serve }: Pick<WebhookRotation, 'writeBundles' | 'serve'>): void {
    if (this.settling) return;
    this.settling = true;
    const write = (): Promise<void> => writeBundles().catch((error: unknown) => log.warn('the CA bundle could not be written', { error: messageOf(error) }));
    void write().then(() => {
      this.options.clock.after(BUNDLE_SETTLES_MS, () => {
        const before = this.bundlePem();
        this.settling = false;
        this.served = this.options.rootCertPem();
        serve();
        if (this.bundlePem() !== before) void write();
      });
    });
  }
}

/** The webhooks as they should be, or undefined when they are. */
function patched(configuration: Configuration, failClosed: boolean, options: CaBundleOptions): Webhook[] | undefined {
  const caBundle = Buffer.from(options.rootCertPem()).toString('base64');
  let changed = false;
  const webhooks = (configuration.webhooks ?? []).map((webhook) => {
    const service = webhook.clientConfig?.service;
    if (service?.namespace !== options.systemNamespace || !/^istiod(-|$)/.test(service.name ?? '')) return webhook;
    if (webhook.clientConfig?.caBundle === caBundle && (!failClosed || webhook.failurePolicy === 'Fail')) return webhook;
    changed = true;
    return { ...webhook, clientConfig: { ...webhook.clientConfig, caBundle }, ...(failClosed && { failurePolicy: 'Fail' }) };
  });
  return changed ? webhooks : undefined;
}
