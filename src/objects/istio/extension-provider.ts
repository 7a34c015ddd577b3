/** `meshConfig.extensionProviders`: services that policies and telemetry refer to by name. */
import { anyObject, bool, durationOrZero, having, int64, list, map, num, obj, oneOf, req, str, uint, type Infer, type Of } from '../schema/dsl.ts';

const service = { /** `[namespace/]host`. */ service: req(str()), port: req(uint()) };
const grpcService = obj({ initialMetadata: list(obj({ key: str(), value: str(), envName: str() })), timeout: durationOrZero() });
const httpService = obj({ path: str(), timeout: durationOrZero(), headers: list(obj({ name: str(), value: str(), envName: str() })) });
const requestBody = obj({ maxRequestBytes: uint(), allowPartialMessage: bool(), packAsBytes: bool() });
const maxTagLength = uint();
const optionalInt = having(int64() as Of<number | null>, { nullable: true });

const extAuthz = {
  ...service,
  /** Default 600s. */
  timeout: durationOrZero(),
  failOpen: bool(),
  clearRouteCache: bool(),
  /** Default 403. */
  statusOnError: str(),
  includeRequestBodyInCheck: requestBody,
};
const envoyExtAuthzHttp = obj({
  ...extAuthz,
  pathPrefix: str(),
  /** Deprecated. */
  includeHeadersInCheck: list(str()),
  includeRequestHeadersInCheck: list(str()),
  includeAdditionalHeadersInCheck: map(str()),
  headersToUpstreamOnAllow: list(str()),
  headersToDownstreamOnAllow: list(str()),
  headersToDownstreamOnDeny: list(str()),
});
const envoyExtAuthzGrpc = obj(extAuthz);
export type EnvoyExternalAuthorizationHttpProvider = Infer<typeof envoyExtAuthzHttp>;
export type EnvoyExternalAuthorizationGrpcProvider = Infer<typeof envoyExtAuthzGrpc>;

const envoyFileAccessLog = obj({
  /** Default `/dev/stdout`. */
  path: str(),
  logFormat: obj({ text: str(), labels: anyObject() }),
  omitEmptyValues: bool(),
});
const accessLogService = obj({
  ...service,
  logName: str(),
  filterStateObjectsToLog: list(str()),
  additionalRequestHeadersToLog: list(str()),
  additionalResponseHeadersToLog: list(str()),
  additionalResponseTrailersToLog: list(str()),
});

/** One provider: a name and exactly one kind. */
export const extensionProvider = obj({
  name: req(str()),
  envoyExtAuthzHttp,
  envoyExtAuthzGrpc,
  zipkin: obj({
    ...service,
    maxTagLength,
    enable64bitTraceId: bool(),
    path: str(),
    traceContextOption: oneOf('USE_B3', 'USE_B3_WITH_W3C_PROPAGATION'),
    timeout: durationOrZero(),
    headers: list(obj({ name: str(), value: str(), envName: str() })),
  }),
  lightstep: obj({ ...service, accessToken: str(), maxTagLength }),
  datadog: obj({ ...service, maxTagLength }),
  stackdriver: obj({
    debug: bool(),
    maxNumberOfAttributes: optionalInt,
    maxNumberOfAnnotations: optionalInt,
    maxNumberOfMessageEvents: optionalInt,
    maxTagLength,
    logging: obj({ labels: map(str()) }),
  }),
  opencensus: obj({ ...service, context: list(str()), maxTagLength }),
  skywalking: obj({ ...service, accessToken: str() }),
  opentelemetry: obj({
    ...service,
    maxTagLength,
    http: httpService,
    grpc: grpcService,
    resourceDetectors: anyObject(),
    dynatraceSampler: anyObject(),
    samplingRate: num(),
    serviceAttributeEnrichment: str(),
  }),
  prometheus: obj({}),
  envoyFileAccessLog,
  envoyHttpAls: accessLogService,
  envoyTcpAls: obj({ ...service, logName: str(), filterStateObjectsToLog: list(str()) }),
  envoyOtelAls: obj({ ...service, logName: str(), logFormat: obj({ text: str(), labels: anyObject() }), filterStateObjectsToLog: list(str()) }),
  sds: obj({ name: str(), ...service }),
});
/** One provider: a name and exactly one kind. */
export type ExtensionProvider = Infer<typeof extensionProvider>;
