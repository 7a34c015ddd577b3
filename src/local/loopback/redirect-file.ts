/** Where a loopback pod keeps its redirection rules: what istio-iptables would put into the kernel. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Redirect } from './pod-network.ts';

const NAME = 'redirect.json';

/** The rules of the pod with this folder; undefined when nothing is captured. */
export function readRedirect(folder: string): Redirect | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, NAME), 'utf8')) as Redirect;
  } catch {
    return undefined;
  }
}

/** Replaces the rules; undefined removes them. Programs that start later obey. */
export function writeRedirect(folder: string, redirect: Redirect | undefined): void {
  const path = join(folder, NAME);
  if (!redirect) return rmSync(path, { force: true });
  const { proxyPort, inboundCapturePort, inboundPortsInclude, inboundPortsExclude, outboundPortsInclude, outboundPortsExclude, outboundIpRangesInclude, outboundIpRangesExclude, redirectDns } = redirect;
  const own: Redirect = { proxyPort, inboundCapturePort, inboundPortsInclude, inboundPortsExclude, outboundPortsInclude, outboundPortsExclude, outboundIpRangesInclude, outboundIpRangesExclude, redirectDns };
  writeFileSync(`${path}.new`, JSON.stringify(own));
  renameSync(`${path}.new`, path);
}
