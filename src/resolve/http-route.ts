import type { CorsPolicy, Destination, FaultInjection, HeaderOperations, Mirror, Redirect, RetrySettings, Rewrite } from '../model/virtual-service.ts';
import type { Cursor } from './cursor.ts';
import { readStringMatch } from './string-match.ts';

const REDIRECT_CODES: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** gRPC status names as `fault.abort.grpcStatus` takes them. @see https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
const GRPC_STATUS: readonly string[] = [
  'OK', 'CANCELLED', 'UNKNOWN', 'INVALID_ARGUMENT', 'DEADLINE_EXCEEDED', 'NOT_FOUND', 'ALREADY_EXISTS', 'PERMISSION_DENIED', 'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION', 'ABORTED', 'OUT_OF_RANGE', 'UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS', 'UNAUTHENTICATED',
];

/** Proxies compute values with %COMMAND(ARGUMENTS):LENGTH% in them; they refuse the whole route table for a % that begins none. */
const HEADER_FORMAT = /^(?:[^%]|%%|%[A-Z0-9_]+(?:\([^)]*\))?(?::\d+)?%)*$/;

/** A redirect whose path begins with this replaces only the matched prefix. */
const PREFIX_COMMAND = '%PREFIX()%';

export function readHeaderOperations(headers: Cursor): HeaderOperations {
  const pairs = (field: string) => headers.at(field).entries().map(([name, value]) => {
    const text = value.string();
    if (!HEADER_FORMAT.test(text)) value.fail(`"${text}" has a % that begins no command like %PROTOCOL%; write %% for a percent sign`);
    return [name, text] as const;
  });
  return { set: pairs('set'), add: pairs('add'), remove: headers.at('remove').strings() };
}

export function readRewrite(rewrite: Cursor): Rewrite | undefined {
  if (!rewrite.exists) return undefined;
  const regex = rewrite.at('uriRegexRewrite');
  return {
    uri: rewrite.at('uri').text(),
    uriRegex: regex.exists ? { match: regex.at('match').string(), rewrite: regex.at('rewrite').string() } : undefined,
    authority: rewrite.at('authority').text(),
  };
}

export function readRedirect(redirect: Cursor): Redirect {
  const code = redirect.at('redirectCode').positive() ?? 301;
  if (!REDIRECT_CODES.has(code)) redirect.at('redirectCode').fail(`${code} is no redirect status; use 301, 302, 303, 307 or 308`);
  const derive = redirect.at('derivePort').oneOf(['FROM_PROTOCOL_DEFAULT', 'FROM_REQUEST_PORT']);
  const uri = redirect.at('uri').text();
  const path = uri?.startsWith(PREFIX_COMMAND) ? { uri: undefined, prefixRewrite: uri.slice(PREFIX_COMMAND.length) } : { uri, prefixRewrite: redirect.at('prefixRewrite').text() };
  return {
    ...path, authority: redirect.at('authority').text(),
    port: redirect.at('port').positive() ?? (derive === 'FROM_PROTOCOL_DEFAULT' ? 'from-protocol-default' : derive ? 'from-request-port' : undefined),
    scheme: redirect.at('scheme').text(), code,
  };
}

/** `retries`; attempts 0 turns retrying off. Numbers inside `retryOn` are status codes. */
export function readRetries(retries: Cursor): RetrySettings | undefined {
  if (!retries.exists) return undefined;
  const words = retries.at('retryOn').string().split(',').map((word) => word.trim()).filter(Boolean);
  const codes = words.filter((word) => /^\d{3}$/.test(word)).map(Number);
  const conditions = words.filter((word) => !/^\d{3}$/.test(word));
  if (codes.length > 0 && !conditions.includes('retriable-status-codes')) conditions.push('retriable-status-codes');
  const attempts = retries.at('attempts').number() ?? 0;
  if (attempts < 0) retries.at('attempts').fail('must not be negative');
  return {
    attempts, perTryTimeoutMs: retries.at('perTryTimeout').durationMs(), retryOn: conditions.join(','), retriableStatusCodes: codes,
    remoteLocalities: retries.at('retryRemoteLocalities').boolean() ?? false,
    ignorePreviousHosts: retries.at('retryIgnorePreviousHosts').boolean() ?? true,
    backoffMs: retries.at('backoff').durationMs(),
  };
}

/** Faults, with the legacy integer `percent` of delay and abort folded into percentages (correction C3). Without a percentage nothing happens. */
export function readFault(fault: Cursor): FaultInjection | undefined {
  if (!fault.exists) return undefined;
  const delay = fault.at('delay');
  const abort = fault.at('abort');
  const fixedDelayMs = delay.at('fixedDelay').durationMs();
  if (delay.exists && fixedDelayMs === undefined) delay.at('fixedDelay').fail('is required');
  const httpStatus = abort.at('httpStatus').number();
  const grpcName = abort.at('grpcStatus').text();
  const grpcStatus = grpcName === undefined ? undefined : GRPC_STATUS.indexOf(grpcName);
  if (grpcStatus === -1) abort.at('grpcStatus').fail(`"${grpcName}" is no gRPC status name`);
  if (abort.exists && httpStatus === undefined && grpcStatus === undefined) abort.fail('needs httpStatus or grpcStatus');
  if (httpStatus !== undefined && (httpStatus < 200 || httpStatus > 599)) abort.at('httpStatus').fail(`${httpStatus} is not between 200 and 599`);
  return {
    delay: delay.exists ? { percent: readPercent(delay), fixedDelayMs: fixedDelayMs ?? 0 } : undefined,
    abort: abort.exists ? { percent: readPercent(abort), httpStatus, grpcStatus } : undefined,
  };
}

function readPercent(of: Cursor): number {
  const value = of.at('percentage').at('value').number() ?? of.at('percent').number() ?? 0;
  if (value < 0 || value > 100) of.at('percentage').fail(`${value} is not between 0 and 100`);
  return value;
}

/** `mirrors`, or the single `mirror` with `mirrorPercentage` or the legacy `mirrorPercent`. Default 100 percent. */
export function readMirrors(route: Cursor, destination: (cursor: Cursor) => Destination): readonly Mirror[] {
  const many = route.at('mirrors').items().map((mirror) => ({ destination: destination(mirror.at('destination')), percent: mirror.at('percentage').at('value').number() ?? 100 }));
  if (!route.at('mirror').exists) return many.filter((mirror) => mirror.percent > 0);
  const percentage = route.at('mirrorPercentage');
  const percent = percentage.exists ? percentage.at('value').number() ?? 0 : route.at('mirrorPercent').number() ?? 100;
  return [...many, { destination: destination(route.at('mirror')), percent }].filter((mirror) => mirror.percent > 0);
}

export function readCors(cors: Cursor): CorsPolicy | undefined {
  if (!cors.exists) return undefined;
  const legacy = cors.at('allowOrigin').strings().map((value) => (value === '*' ? { kind: 'regex' as const, value: '.*' } : { kind: 'exact' as const, value }));
  const unmatched = cors.at('unmatchedPreflights').oneOf(['UNSPECIFIED', 'FORWARD', 'IGNORE']);
  return {
    allowOrigins: [...cors.at('allowOrigins').items().flatMap((origin) => readStringMatch(origin) ?? []), ...legacy],
    allowMethods: cors.at('allowMethods').strings(), allowHeaders: cors.at('allowHeaders').strings(), exposeHeaders: cors.at('exposeHeaders').strings(),
    maxAgeMs: cors.at('maxAge').durationMs(), allowCredentials: cors.at('allowCredentials').boolean(),
    forwardUnmatchedPreflights: unmatched === 'IGNORE' ? false : unmatched === 'FORWARD' ? true : undefined,
  };
}
