/** Parts that Gateway API's kinds share. @see https://gateway-api.sigs.k8s.io/reference/spec/ */
import { labelSelector } from '../kubernetes/meta-schema.ts';
import { having, int, int64, list, map, obj, oneOf, oneOfDefault, req, str, time, type Infer } from '../schema/dsl.ts';
import type { Schema } from '../schema/schema.ts';

const NAME_TEXT: Schema = { minLength: 1, maxLength: 253 };
const NAMESPACE_TEXT: Schema = { minLength: 1, maxLength: 63, pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$' };
const GROUP_TEXT: Schema = { maxLength: 253, pattern: '^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$' };
const KIND_TEXT: Schema = { minLength: 1, maxLength: 63, pattern: '^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$' };
const HOSTNAME_TEXT: Schema = { minLength: 1, maxLength: 253, pattern: '^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$' };
const SECTION_TEXT: Schema = { minLength: 1, maxLength: 253, pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$' };

/** The name of an object. */
export const objectName = str(NAME_TEXT);
/** The name of a namespace. */
export const namespaceName = str(NAMESPACE_TEXT);
/** An API group; '' is the core group. */
export const group = str(GROUP_TEXT);
/** The name of a kind. */
export const kindName = str(KIND_TEXT);
/** A DNS name, or `*.` and one. */
export const hostname = str(HOSTNAME_TEXT);
/** A DNS name without a wildcard. */
export const preciseHostname = str(SECTION_TEXT);
/** The name of a listener, a rule or a port. */
export const sectionName = str(SECTION_TEXT);
/** A port number. */
export const portNumber = int({ minimum: 1, maximum: 65_535 });
/** Labels or annotations that the deployed objects get. */
export const metadataMap = map(str({ maxLength: 4096 }), { maxProperties: 8 });
/** A duration as Gateway API writes it (GEP-2257): `1h30m`, `10s`, `500ms`. */
export const gatewayDuration = str({ pattern: '^([0-9]{1,5}(h|m|s|ms)){1,4}$' });

/** Where a route is attached: a Gateway, a ListenerSet, a Service or a ServiceEntry. */
export const parentReference = obj({
  group: having(group, { default: 'gateway.networking.k8s.io' }),
  kind: having(kindName, { default: 'Gateway' }),
  namespace: namespaceName,
  name: req(objectName),
  sectionName,
  port: portNumber,
});
/** Where a route is attached. */
export type ParentReference = Infer<typeof parentReference>;
/** The parents of a route. */
export const parentReferences = list(parentReference, { atomic: true }, { maxItems: 32 });

/** Fields of a reference to a backend. */
export const BACKEND_REFERENCE = {
  group: having(group, { default: '' }),
  kind: having(kindName, { default: 'Service' }),
  name: req(objectName),
  namespace: namespaceName,
  port: portNumber,
} as const;
const plainBackend = obj(BACKEND_REFERENCE);
/** A reference to something that answers requests. */
export const backendObjectReference = plainBackend;
/** A reference to something that answers requests. */
export type BackendObjectReference = Infer<typeof plainBackend>;

/** The share of a backend; 0 gets nothing. */
export const weight = int({ minimum: 0, maximum: 1_000_000, default: 1 });
/** A backend of an L4 route. */
export const backendReference = obj({ ...BACKEND_REFERENCE, weight });
/** A backend of an L4 route. */
export type BackendReference = Infer<typeof backendReference>;

/** A reference to a Secret (or something like it). */
export const secretReference = obj({ group: having(group, { default: '' }), kind: having(kindName, { default: 'Secret' }), name: req(objectName), namespace: namespaceName });
/** A reference to a Secret. */
export type SecretReference = Infer<typeof secretReference>;

/** A reference whose kind must be said. */
export const objectReference = obj({ group: req(group), kind: req(kindName), name: req(objectName), namespace: namespaceName });
/** A reference whose kind must be said. */
export type ObjectReference = Infer<typeof objectReference>;

/** A reference inside the namespace. */
export const localReference = obj({ group: req(group), kind: req(kindName), name: req(objectName) });
/** A reference inside the namespace. */
export type LocalReference = Infer<typeof localReference>;

/** Which routes may attach to a listener. */
export const allowedRoutes = obj(
  {
    namespaces: obj({ from: oneOfDefault('Same', 'All', 'Selector', 'None'), selector: labelSelector }, { default: { from: 'Same' } }),
    kinds: list(obj({ group: having(group, { default: 'gateway.networking.k8s.io' }), kind: req(kindName) }), { atomic: true }, { maxItems: 8 }),
  },
  { default: { namespaces: { from: 'Same' } } },
);

/** TLS of a listener. */
export const listenerTls = obj({
  mode: oneOfDefault('Terminate', 'Passthrough'),
  certificateRefs: list(secretReference, { atomic: true }, { maxItems: 64 }),
  options: map(str({ maxLength: 4096 }), { maxProperties: 16 }),
});
/** TLS of a listener. */
export type ListenerTls = Infer<typeof listenerTls>;

const protocol = str({ minLength: 1, maxLength: 255, pattern: '^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$|[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\\/[A-Za-z0-9]+$' });
/** A listener; in a ListenerSet the port may be left to the protocol. */
export const LISTENER = { name: req(sectionName), hostname, protocol: req(protocol), tls: listenerTls, allowedRoutes } as const;
/** A listener of a Gateway. */
export const listener = obj({ ...LISTENER, port: req(portNumber) });
/** A listener of a Gateway. */
export type Listener = Infer<typeof listener>;

/** A status condition as Gateway API has it. */
export const gatewayCondition = obj({
  type: req(str({ maxLength: 316 })),
  status: req(oneOf('True', 'False', 'Unknown')),
  observedGeneration: int64({ minimum: 0 }),
  lastTransitionTime: time(),
  reason: req(str({ maxLength: 1024 })),
  message: req(str({ maxLength: 32_768 })),
});
/** Status conditions by type. */
export const gatewayConditions = list(gatewayCondition, { mapKeys: ['type'] }, { maxItems: 8 });

/** What a listener's status says. */
export const listenerStatus = obj({
  name: req(sectionName),
  supportedKinds: list(obj({ group: having(group, { default: 'gateway.networking.k8s.io' }), kind: req(kindName) }), { atomic: true }),
  attachedRoutes: req(int()),
  conditions: req(gatewayConditions),
});

/** Status of every route kind: what each parent says of it. */
export const routeStatus = obj({
  parents: req(list(obj({ parentRef: req(parentReference), controllerName: req(str()), conditions: gatewayConditions }), { atomic: true }, { maxItems: 32 })),
});
/** Status of a route. */
export type RouteStatus = Infer<typeof routeStatus>;

/** Status of every policy kind: what each ancestor says of it. */
export const policyStatus = obj({
  ancestors: req(list(obj({ ancestorRef: req(parentReference), controllerName: req(str()), conditions: req(gatewayConditions) }), { atomic: true }, { maxItems: 16 })),
});
/** Status of a policy. */
export type PolicyStatus = Infer<typeof policyStatus>;

/** How a client checks a server. */
export const tlsValidation = obj({
  caCertificateRefs: list(localReference, { atomic: true }, { maxItems: 8 }),
  wellKnownCACertificates: str({ minLength: 1, maxLength: 253 }),
  hostname: preciseHostname,
  subjectAltNames: list(obj({ type: req(oneOf('Hostname', 'URI')), hostname, uri: str({ minLength: 1, maxLength: 253 }) }), { atomic: true }, { maxItems: 5 }),
});
/** How a client checks a server. */
export type TlsValidation = Infer<typeof tlsValidation>;

