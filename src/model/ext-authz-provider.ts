/** How much of a request's body goes to the authorizer. */
export interface CheckBody {
  readonly maxRequestBytes: number;
  /** Longer bodies are cut instead of refused with 413. */
  readonly allowPartialMessage: boolean;
  readonly packAsBytes: boolean;
}

/**
 * An external authorizer of the mesh config (`envoyExtAuthzHttp`, `envoyExtAuthzGrpc`). Header lists may hold `prefix*` and `*suffix`.
 * @see https://istio.io/latest/docs/reference/config/istio.mesh.v1alpha1/#MeshConfig-ExtensionProvider-EnvoyExternalAuthorizationHttpProvider
 */
export interface ExtAuthzProvider {
  readonly name: string;
  readonly protocol: 'http' | 'grpc';
  /** `[namespace/]host`. */
  readonly service: string;
  readonly port: number;
  /** Default 600 000. */
  readonly timeoutMs: number;
  readonly failOpen: boolean;
  /** Undefined = Envoy's default, 403. */
  readonly statusOnError: number | undefined;
  readonly clearRouteCache: boolean;
  readonly body: CheckBody | undefined;
  readonly pathPrefix: string;
  readonly headersInCheck: readonly string[];
  readonly additionalHeaders: readonly (readonly [name: string, value: string])[];
  readonly headersToUpstreamOnAllow: readonly string[];
  readonly headersToDownstreamOnAllow: readonly string[];
  readonly headersToDownstreamOnDeny: readonly string[];
  /** Why the provider cannot be used; undefined = it can. Policies that name it then refuse what they match. */
  readonly problem: string | undefined;
}
