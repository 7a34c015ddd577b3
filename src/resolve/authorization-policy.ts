import type { AuthorizationPolicy, AuthorizationRule, OperationField, OperationMatch, SourceField, SourceMatch, ValueMatch } from '../model/authorization-policy.ts';
import { contentHash } from '../model/hash.ts';
import type { KubeObject } from '../objects/meta.ts';
import { createdMsOf, namespaceOf, originOf, readSpec, referenceOf, warn, type ResolveContext } from './context.ts';
import { Cursor } from './cursor.ts';
import { readTargeting } from './policy-target.ts';

const DRY_RUN = 'istio.io/dry-run';
const SOURCE_FIELDS: readonly SourceField[] = ['principals', 'requestPrincipals', 'namespaces', 'serviceAccounts', 'ipBlocks', 'remoteIpBlocks', 'trustDomains'];
const OPERATION_FIELDS: readonly OperationField[] = ['hosts', 'ports', 'methods', 'paths'];

/** Reads an AuthorizationPolicy. Undefined (and issues) when it cannot be read: then use {@link denyingPolicy}, unless a good version is known. */
export function resolveAuthorizationPolicy(context: ResolveContext, object: KubeObject): AuthorizationPolicy | undefined {
  const dryRun = object.metadata.annotations?.[DRY_RUN];
  if (dryRun !== undefined && parseBoolean(dryRun) === undefined)
    warn(context, object, 'MLT0010', `metadata.annotations["${DRY_RUN}"]`, `"${dryRun}" is neither true nor false: the policy is enforced.`, 'true');
  return readSpec(context, object, (spec) => {
    const action = spec.at('action').oneOf(['ALLOW', 'DENY', 'AUDIT', 'CUSTOM']) ?? 'ALLOW';
    const provider = spec.at('provider').at('name').string();
    if (action === 'CUSTOM' && provider === '') spec.at('provider').at('name').fail('is required for CUSTOM');
    return { ...commonOf(object), ...readTargeting(spec), action, provider: action === 'CUSTOM' ? provider : '', dryRun: parseBoolean(dryRun ?? 'false') ?? false, rules: spec.at('rules').items().map(readRule) };
  });
}

/**
 * What stands in for a policy nobody can read: it refuses everything where the broken one would hold, because a policy that is left out would let
 * everything in.
 */
export function denyingPolicy(context: ResolveContext, object: KubeObject): AuthorizationPolicy {
  const spec = new Cursor((object as { readonly spec?: unknown }).spec, 'spec', () => {});
  context.issues.push({ severity: 'error', code: 'MLT0011', object: referenceOf(object), path: '', message: 'The policy cannot be read, so every request to what it selects is denied.' });
  return { ...commonOf(object), ...readTargeting(spec), action: 'DENY', provider: '', dryRun: false, rules: [{ from: [], to: [], when: [] }] };
}

function commonOf(object: KubeObject) {
  const { spec } = object as { readonly spec?: unknown };
  return {
    kind: 'authorization-policy' as const, name: object.metadata.name, namespace: namespaceOf(object), createdMs: createdMsOf(object), origin: originOf(object),
    digest: contentHash([originOf(object), object.metadata.annotations?.[DRY_RUN] ?? '', spec ?? null]),
  };
}

function readRule(rule: Cursor): AuthorizationRule {
  return {
    from: rule.at('from').items().map((from): SourceMatch => fieldsOf(from.at('source'), SOURCE_FIELDS)),
    to: rule.at('to').items().map((to): OperationMatch => fieldsOf(to.at('operation'), OPERATION_FIELDS)),
    when: rule.at('when').items().map((when) => ({ key: when.at('key').string(), values: when.at('values').strings(), notValues: when.at('notValues').strings() })),
  };
}

function fieldsOf<F extends string>(cursor: Cursor, fields: readonly F[]): Readonly<Record<F, ValueMatch>> {
  const read = (field: F): ValueMatch => ({ values: cursor.at(field).strings(), notValues: cursor.at(`not${field[0]!.toUpperCase()}${field.slice(1)}`).strings() });
  return Object.fromEntries(fields.map((field) => [field, read(field)])) as Record<F, ValueMatch>;
}

/** The spellings of Go's ParseBool, which Istio reads the annotation with. */
function parseBoolean(text: string): boolean | undefined {
  if (/^(?:1|t|T|true|TRUE|True)$/.test(text)) return true;
  return /^(?:0|f|F|false|FALSE|False)$/.test(text) ? false : undefined;
}
