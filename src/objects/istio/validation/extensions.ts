import type { ProxyConfig } from '../proxy-config.ts';
import type { TrafficExtension } from '../traffic-extension.ts';
import type { WasmPlugin } from '../wasm-plugin.ts';
import { checkTargeting, checkWorkloadSelector } from './common.ts';
import type { Findings } from './findings.ts';
import { portProblem } from './names.ts';

type Wasm = Pick<WasmPlugin['spec'], 'url' | 'sha256' | 'vmConfig'>;
type Matches = WasmPlugin['spec']['match'];

export function checkWasmPlugin(findings: Findings, plugin: WasmPlugin): void {
  checkTargeting(findings, plugin.spec);
  checkWasm(findings, 'spec', plugin.spec);
  checkMatches(findings, plugin.spec.match);
}

export function checkTrafficExtension(findings: Findings, extension: TrafficExtension): void {
  const { spec } = extension;
  checkTargeting(findings, spec);
  checkMatches(findings, spec.match);
  if ((spec.wasm === undefined) === (spec.lua === undefined)) findings.error('spec', 'exactly one of wasm or lua must be set');
  if (spec.wasm) checkWasm(findings, 'spec.wasm', spec.wasm);
}

const SCHEMES = ['http', 'https', 'file', 'oci'];

function checkWasm(findings: Findings, path: string, { url, vmConfig }: Wasm): void {
  const scheme = /^([A-Za-z][-+.A-Za-z0-9]*):\/\//.exec(url)?.[1]?.toLowerCase();
  const rest = scheme === undefined ? url : url.slice(scheme.length + 3);
  // Without a scheme it is the name of an OCI image.
  if ((scheme !== undefined && !SCHEMES.includes(scheme)) || !/^[\w./[][^\s#%]*(%[0-9A-Fa-f]{2}[^\s#%]*)*(#\S*)?$/.test(rest)) {
    findings.error(`${path}.url`, `url must have schema one of [http, https, file, oci]: "${url}"`);
  }
  vmConfig?.env?.forEach(({ name, valueFrom, value }, index) => {
    const at = `${path}.vmConfig.env[${index}]`;
    if (valueFrom === 'HOST' && value !== undefined) findings.error(`${at}.value`, `value may only be set when valueFrom is INLINE ("${name}")`, 'remove value, or use valueFrom: INLINE');
  });
}

function checkMatches(findings: Findings, matches: Matches): void {
  matches?.forEach(({ ports }, index) => {
    ports?.forEach(({ number }, at) => findings.problem(`spec.match[${index}].ports[${at}].number`, portProblem(number ?? 0)));
  });
}

export function checkProxyConfig(findings: Findings, config: ProxyConfig): void {
  const { selector, image, environmentVariables } = config.spec;
  checkWorkloadSelector(findings, 'spec.selector', selector);
  const type = image?.imageType;
  if (type && !['default', 'debug', 'distroless'].includes(type)) findings.warn('spec.image.imageType', `unknown image type "${type}"`, 'use default, debug or distroless');
  for (const name of Object.keys(environmentVariables ?? {})) {
    if (name === '' || name.includes('=')) findings.error('spec.environmentVariables', `"${name}" is not a valid name of an environment variable`);
  }
}
