import type { AuthorizationPolicy, Condition, Operation, Rule, Source } from '../authorization-policy.ts';
import { checkTargeting } from './common.ts';
import type { Findings } from './findings.ts';
import { subnetProblem } from './names.ts';

const EMPTY_RULE_FIX = 'add an empty rule {} to act on every request';

export function checkAuthorizationPolicy(findings: Findings, policy: AuthorizationPolicy): void {
  const { spec } = policy;
  checkTargeting(findings, spec);
  const action = spec.action ?? 'ALLOW';
  if (spec.rules === undefined && (action === 'DENY' || action === 'CUSTOM')) findings.error('spec.rules', `${action} action without \`rules\` is meaningless as it will never be triggered`, EMPTY_RULE_FIX);
  if (action === 'CUSTOM' && !spec.provider?.name) findings.error('spec.provider.name', '`provider.name` must not be empty', 'name an extension provider of the mesh configuration');
  if (action !== 'CUSTOM' && spec.provider) findings.error('spec.provider', `\`provider\` must not be with non CUSTOM action, found ${action}`);
  spec.rules?.forEach((rule, index) => {
    const path = `spec.rules[${index}]`;
    if (rule.from?.length === 0) findings.error(`${path}.from`, '`from` must not be empty');
    rule.from?.forEach(({ source }, at) => checkPresent(findings, `${path}.from[${at}].source`, source, checkSource));
    if (rule.to?.length === 0) findings.error(`${path}.to`, '`to` must not be empty');
    rule.to?.forEach(({ operation }, at) => checkPresent(findings, `${path}.to[${at}].operation`, operation, checkOperation));
    rule.when?.forEach((condition, at) => checkCondition(findings, `${path}.when[${at}]`, condition));
    if (action === 'CUSTOM') checkCustomRule(findings, path, rule);
    if (action === 'DENY' && deniesAllTcp(rule)) {
      findings.warn(path, 'configured AuthorizationPolicy will deny all traffic to TCP ports under its scope due to the use of only HTTP attributes in a DENY rule', 'name the ports in to.operation.ports');
    }
  });
}

const NOT_FOR_CUSTOM = ['namespaces', 'notNamespaces', 'serviceAccounts', 'notServiceAccounts', 'principals', 'notPrincipals', 'requestPrincipals', 'notRequestPrincipals'] as const;

/** An external authorizer is asked before identities of requests are known. @see https://istio.io/latest/docs/reference/config/security/authorization-policy/#AuthorizationPolicy-Action */
function checkCustomRule(findings: Findings, path: string, rule: Rule): void {
  rule.from?.forEach(({ source }, at) => {
    for (const field of NOT_FOR_CUSTOM) if (source?.[field]?.length) findings.error(`${path}.from[${at}].source.${field}`, `${field} is currently not supported with CUSTOM action`);
  });
  rule.when?.forEach(({ key }, at) => {
    if (key === 'source.namespace' || key === 'source.principal' || key.startsWith('request.auth.')) findings.error(`${path}.when[${at}].key`, `${key} is currently not supported with CUSTOM action`);
  });
}

const TCP_SOURCES = ['principals', 'notPrincipals', 'ipBlocks', 'notIpBlocks', 'namespaces', 'notNamespaces', 'remoteIpBlocks', 'notRemoteIpBlocks', 'serviceAccounts', 'notServiceAccounts', 'trustDomains', 'notTrustDomains'] as const;

/** A DENY rule whose HTTP conditions are left out where there is only TCP. */
function deniesAllTcp({ from = [], to = [] }: Rule): boolean {
  const tcpFrom = from.some(({ source }) => TCP_SOURCES.some((field) => source?.[field] !== undefined));
  const tcpTo = to.some(({ operation }) => operation?.ports !== undefined || operation?.notPorts !== undefined);
  return to.length > 0 ? !tcpTo : from.length > 0 && !tcpFrom;
}

function checkPresent<T extends object>(findings: Findings, path: string, value: T | undefined, check: (findings: Findings, path: string, value: T) => void): void {
  const name = path.slice(path.lastIndexOf('.') + 1);
  if (!value) findings.error(path, `\`${name}\` must not be nil`);
  else if (Object.values(value).every((list) => !Array.isArray(list) || list.length === 0)) findings.error(path, `\`${name}\` must not be empty`);
  else {
    checkNoEmptyValues(findings, path, value);
    check(findings, path, value);
  }
}

function checkNoEmptyValues(findings: Findings, path: string, value: object): void {
  for (const [field, list] of Object.entries(value) as [string, readonly string[] | undefined][]) {
    list?.forEach((text, index) => {
      if (text === '') findings.error(`${path}.${field}[${index}]`, `\`${field}\` has an empty value`, 'use "*" for any value');
    });
  }
}

function checkSource(findings: Findings, path: string, source: Source): void {
  if ((source.serviceAccounts ?? source.notServiceAccounts) && (source.principals ?? source.notPrincipals ?? source.namespaces ?? source.notNamespaces)) {
    findings.error(path, 'Cannot set serviceAccounts with namespaces or principals', 'make an own source of each');
  }
  for (const field of ['serviceAccounts', 'notServiceAccounts'] as const) {
    source[field]?.forEach((account, index) => {
      if (account.includes('*')) findings.error(`${path}.${field}[${index}]`, `wildcards are not supported in service accounts: "${account}"`);
      else if (account.split('/').length > 2) findings.error(`${path}.${field}[${index}]`, `service account must be of form namespace/name or name, not "${account}"`);
    });
  }
  for (const field of ['ipBlocks', 'notIpBlocks', 'remoteIpBlocks', 'notRemoteIpBlocks'] as const) checkSubnets(findings, `${path}.${field}`, source[field]);
  for (const field of ['principals', 'notPrincipals'] as const) {
    source[field]?.forEach((principal, index) => {
      if (principal.startsWith('spiffe://')) findings.warn(`${path}.${field}[${index}]`, 'principals are written without spiffe://', principal.slice('spiffe://'.length));
    });
  }
}

function checkSubnets(findings: Findings, path: string, subnets: readonly string[] | undefined): void {
  subnets?.forEach((subnet, index) => findings.problem(`${path}[${index}]`, subnetProblem(subnet)));
}

function checkOperation(findings: Findings, path: string, operation: Operation): void {
  for (const field of ['ports', 'notPorts'] as const) checkPorts(findings, `${path}.${field}`, operation[field]);
  for (const field of ['paths', 'notPaths'] as const) {
    operation[field]?.forEach((text, index) => findings.problem(`${path}.${field}[${index}]`, pathTemplateProblem(text)));
  }
}

function checkPorts(findings: Findings, path: string, ports: readonly string[] | undefined): void {
  ports?.forEach((port, index) => {
    if (!/^\d+$/.test(port) || Number(port) < 1 || Number(port) > 65_535) findings.error(`${path}[${index}]`, `port must be between 1-65535, not "${port}"`);
  });
}

/** `{*}` stands for one segment, `{**}` for the rest and comes last. @see https://istio.io/latest/docs/reference/config/security/authorization-policy/#Operation */
function pathTemplateProblem(path: string): string | undefined {
  if (!path.includes('{') && !path.includes('}')) return undefined;
  const segments = path.split('/');
  let restSeen = false;
  for (const segment of segments) {
    if (segment === '{**}' || segment === '{*}') {
      if (restSeen) return `invalid or unsupported path ${path}. {**} is not the last operator`;
      restSeen = segment === '{**}';
    } else if (/[{}]/.test(segment)) return `invalid or unsupported path ${path}. Contains '{' or '}' beyond a supported path template`;
    else if (segment.includes('*')) return `invalid or unsupported path ${path}. Contains '*' beyond a supported path template`;
  }
  return undefined;
}

type ValueCheck = (findings: Findings, path: string, values: readonly string[] | undefined) => void;
const anyValue: ValueCheck = () => {};

/** What a condition may look at, and what its values must be. @see https://istio.io/latest/docs/reference/config/security/conditions/ */
const ATTRIBUTES: ReadonlyMap<string, ValueCheck> = new Map([
  ['source.ip', checkSubnets],
  ['remote.ip', checkSubnets],
  ['source.namespace', anyValue],
  ['source.principal', anyValue],
  ['source.serviceAccount', anyValue],
  ['source.trustDomain', anyValue],
  ['request.auth.principal', anyValue],
  ['request.auth.audiences', anyValue],
  ['request.auth.presenter', anyValue],
  ['destination.ip', checkSubnets],
  ['destination.port', checkPorts],
  ['connection.sni', anyValue],
]);
const ATTRIBUTE_PATTERNS: readonly RegExp[] = [/^request\.headers\[[^\]]+\]$/, /^request\.auth\.claims(\[[^\]]+\])+$/, /^experimental\.envoy\.filters\.[^[]*\[.+\]$/];

function checkCondition(findings: Findings, path: string, condition: Condition): void {
  const { key, values = [], notValues = [] } = condition;
  if (key === '') {
    findings.error(`${path}.key`, '`key` must not be empty');
    return;
  }
  const check = ATTRIBUTES.get(key) ?? (ATTRIBUTE_PATTERNS.some((pattern) => pattern.test(key)) ? anyValue : undefined);
  if (!check) findings.error(`${path}.key`, `unknown attribute (${key})`, `write one of ${[...ATTRIBUTES.keys()].join(', ')}, request.headers[<name>], request.auth.claims[<name>]`);
  if (values.length === 0 && notValues.length === 0) findings.error(path, `at least one of \`values\` or \`notValues\` must be set for key ${key}`);
  checkNoEmptyValues(findings, path, { values, notValues });
  check?.(findings, `${path}.values`, values);
  check?.(findings, `${path}.notValues`, notValues);
}
