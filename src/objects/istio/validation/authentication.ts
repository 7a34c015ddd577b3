import type { PeerAuthentication } from '../peer-authentication.ts';
import type { JWTRule, RequestAuthentication } from '../request-authentication.ts';
import { checkTargeting, checkWorkloadSelector } from './common.ts';
import type { Findings } from './findings.ts';
import { portProblem } from './names.ts';

export function checkPeerAuthentication(findings: Findings, policy: PeerAuthentication): void {
  const { selector, portLevelMtls } = policy.spec;
  checkWorkloadSelector(findings, 'spec.selector', selector);
  if (!portLevelMtls) return;
  const ports = Object.keys(portLevelMtls);
  if (ports.length === 0) findings.error('spec.portLevelMtls', 'port level mTLS, if defined, must have at least one element');
  if (ports.length > 0 && Object.keys(selector?.matchLabels ?? {}).length === 0) {
    findings.error('spec.portLevelMtls', 'portLevelMtls requires selector: a mesh or namespace policy cannot have port level mTLS', 'add selector.matchLabels');
  }
  for (const port of ports) {
    findings.problem(`spec.portLevelMtls.${port}`, /^\d+$/.test(port) ? portProblem(Number(port)) : `"${port}" is not a port number: type conversion error from string to number`);
  }
}

export function checkRequestAuthentication(findings: Findings, policy: RequestAuthentication): void {
  checkTargeting(findings, policy.spec);
  policy.spec.jwtRules?.forEach((rule, index) => checkJwtRule(findings, `spec.jwtRules[${index}]`, rule));
}

const HEADER_NAME = /^[-_A-Za-z0-9]+$/;
const URI = /^(https?):\/\/([^/?#:]+|\[[0-9a-fA-F:.]+\])(:(\d+))?([/?#].*)?$/;

function checkJwtRule(findings: Findings, path: string, rule: JWTRule): void {
  if (rule.jwksUri && rule.jwks) findings.error(path, 'only one of jwks or jwksUri can be set');
  if (rule.jwksUri) {
    const match = URI.exec(rule.jwksUri);
    if (!match) findings.error(`${path}.jwksUri`, `URI "${rule.jwksUri}" must have scheme http or https and a host`);
    else if (match[4] !== undefined) findings.problem(`${path}.jwksUri`, portProblem(Number(match[4])));
  }
  if (rule.jwks) findings.problem(`${path}.jwks`, jwksProblem(rule.jwks), 'put a JSON Web Key Set here, {"keys": […]}');
  for (const field of ['fromHeaders', 'outputClaimToHeaders'] as const) {
    rule[field]?.forEach((location, index) => {
      const name = 'header' in location ? location.header : location.name;
      if (!HEADER_NAME.test(name)) findings.error(`${path}.${field}[${index}]`, `header name "${name}" is not a valid header name`);
    });
  }
  if (rule.outputPayloadToHeader && !HEADER_NAME.test(rule.outputPayloadToHeader)) findings.error(`${path}.outputPayloadToHeader`, `header name "${rule.outputPayloadToHeader}" is not a valid header name`);
}

function jwksProblem(text: string): string | undefined {
  try {
    const { keys, kty } = (JSON.parse(text) as { readonly keys?: unknown; readonly kty?: unknown } | null) ?? {};
    return Array.isArray(keys) || typeof kty === 'string' ? undefined : 'jwks has no list "keys"';
  } catch {
    return 'jwks is not valid JSON';
  }
}
