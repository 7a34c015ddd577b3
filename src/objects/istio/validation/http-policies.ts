import type { HTTPRetry } from '../common.ts';
import type { CorsPolicy, HTTPFaultInjection } from '../virtual-service.ts';
import type { Findings } from './findings.ts';
import { percentProblem, regexProblem } from './names.ts';

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', '*']);

export function checkCorsPolicy(findings: Findings, path: string, policy: CorsPolicy | undefined): void {
  if (!policy) return;
  policy.allowOrigins?.forEach((origin, index) => {
    const at = `${path}.allowOrigins[${index}]`;
    if (!(origin.exact ?? origin.prefix ?? origin.regex)) findings.error(at, 'a CORS origin needs one of exact, prefix and regex, not empty');
    else if (origin.regex !== undefined) findings.problem(at, regexProblem(origin.regex));
  });
  if (policy.allowOrigin?.length) findings.deprecated(`${path}.allowOrigin`, 'allowOrigin is deprecated', 'use allowOrigins');
  policy.allowMethods?.forEach((method, index) => {
    if (!METHODS.has(method)) findings.error(`${path}.allowMethods[${index}]`, `"${method}" is not a supported HTTP method`, 'methods are written in capitals');
  });
  for (const field of ['allowHeaders', 'exposeHeaders'] as const) {
    policy[field]?.forEach((name, index) => {
      if (name === '') findings.error(`${path}.${field}[${index}]`, 'header name cannot be empty');
    });
  }
  if (policy.maxAge && /\d(ms|us|µs|ns)|\.\d/.test(policy.maxAge)) findings.error(`${path}.maxAge`, 'max_age duration is accurate only to seconds precision');
}

const GRPC_CODES: ReadonlySet<string> = new Set([
  'OK', 'CANCELLED', 'UNKNOWN', 'INVALID_ARGUMENT', 'DEADLINE_EXCEEDED', 'NOT_FOUND', 'ALREADY_EXISTS', 'PERMISSION_DENIED', 'RESOURCE_EXHAUSTED', 'FAILED_PRECONDITION', 'ABORTED',
  'OUT_OF_RANGE', 'UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS', 'UNAUTHENTICATED',
]);

export function checkFault(findings: Findings, path: string, fault: HTTPFaultInjection | undefined): void {
  if (!fault) return;
  const { abort, delay } = fault;
  if (!abort && !delay) findings.error(path, 'HTTP fault injection must have an abort and/or a delay');
  if (abort) {
    checkPercentage(findings, `${path}.abort.percentage`, abort.percentage?.value);
    checkOldPercent(findings, `${path}.abort.percent`, abort.percent);
    const { httpStatus, grpcStatus, http2Error } = abort;
    if ([httpStatus, grpcStatus, http2Error].filter((value) => value !== undefined).length > 1) findings.error(`${path}.abort`, 'only one of httpStatus and grpcStatus can be set');
    if (http2Error !== undefined) findings.error(`${path}.abort.http2Error`, 'HTTP/2 abort fault injection not supported yet');
    else if (httpStatus === undefined && grpcStatus === undefined) findings.error(`${path}.abort`, 'abort must have httpStatus or grpcStatus');
    if (httpStatus !== undefined && (httpStatus < 200 || httpStatus > 599)) findings.error(`${path}.abort.httpStatus`, `HTTP status ${httpStatus} is not in range 200-599`);
    if (grpcStatus !== undefined && !GRPC_CODES.has(grpcStatus)) findings.error(`${path}.abort.grpcStatus`, `gRPC status "${grpcStatus}" is not supported`, 'write the name, UNAVAILABLE for example');
  }
  if (delay) {
    checkPercentage(findings, `${path}.delay.percentage`, delay.percentage?.value);
    checkOldPercent(findings, `${path}.delay.percent`, delay.percent);
    if (delay.exponentialDelay !== undefined) findings.error(`${path}.delay.exponentialDelay`, 'exponentialDelay not supported yet', 'use fixedDelay');
    else if (delay.fixedDelay === undefined) findings.error(`${path}.delay`, 'delay must have fixedDelay');
  }
}

function checkOldPercent(findings: Findings, path: string, percent: number | undefined): void {
  if (percent === undefined) return;
  findings.problem(path, percentProblem(percent));
  findings.deprecated(path, 'percent of a fault is deprecated', `use percentage: {value: ${percent}}`);
}

function checkPercentage(findings: Findings, path: string, value = 0): void {
  if (value < 0 || value > 100 || (value > 0 && value < 0.0001)) findings.error(path, `percentage ${value} is neither 0.0, nor in range [0.0001, 100.0]`);
}

/** @see https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter#x-envoy-retry-on */
const RETRY_CONDITIONS: ReadonlySet<string> = new Set([
  '5xx', 'gateway-error', 'reset', 'reset-before-request', 'connect-failure', 'envoy-ratelimited', 'retriable-4xx', 'refused-stream', 'retriable-status-codes', 'retriable-headers',
  'http3-post-connect-failure', 'cancelled', 'deadline-exceeded', 'internal', 'resource-exhausted', 'unavailable',
]);

export function checkRetries(findings: Findings, path: string, retries: HTTPRetry | undefined): void {
  if (!retries) return;
  const { attempts = 0, perTryTimeout, retryOn, retryRemoteLocalities, backoff } = retries;
  if (attempts < 0) findings.error(`${path}.attempts`, 'attempts cannot be negative');
  if (attempts === 0 && (perTryTimeout !== undefined || retryOn || retryRemoteLocalities || backoff !== undefined)) {
    findings.error(path, 'http retry policy configured when attempts are set to 0 (disabled)', 'set attempts');
  }
  for (const condition of retryOn ? retryOn.split(',') : []) {
    const name = condition.trim();
    const status = Number(name);
    if (!RETRY_CONDITIONS.has(name) && !(/^\d{3}$/.test(name) && status >= 100 && status <= 599)) findings.error(`${path}.retryOn`, `"${name}" is not a valid retryOn policy`);
  }
}
