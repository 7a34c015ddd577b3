import { describe, expect, it } from 'vitest';
import { parseIptablesCommand, type Machine } from './config.ts';
import { nftCleanupText, nftText } from './nft-rules.ts';

const V4: Machine = { ipv6: false, dnsServersV4: ['10.0.0.10'], dnsServersV6: [] };
const DUAL: Machine = { ipv6: true, dnsServersV4: ['10.0.0.10'], dnsServersV6: ['fd00::a'] };

function rules(args: readonly string[], machine: Machine, table: string, chain: string): string[] {
  const { command } = parseIptablesCommand(['--native-nftables', ...args], {}, machine);
  expect(command.nftables).toBe(true);
  const prefix = `add rule inet istio-proxy-${table} ${chain} `;
  return nftText(command.config).split('\n').filter((line) => line.startsWith(prefix)).map((line) => line.slice(prefix.length));
}

describe('nftText', () => {
  it('captures everything by default ports', () => {
    expect(rules(['-b', '*', '-d', '15021'], V4, 'nat', 'istio-inbound')).toEqual(['tcp dport 15008 counter return', 'tcp dport 15021 counter return', 'meta l4proto tcp counter jump istio-in-redirect']);
    expect(rules(['-i', '*'], V4, 'nat', 'istio-output').at(-1)).toBe('counter jump istio-redirect');
  });

  it('writes one rule for both families, and one each where an address is in it', () => {
    const output = rules(['-i', '10.0.0.0/8,fd00::/8'], DUAL, 'nat', 'istio-output');
    expect(output.slice(-2)).toEqual(['ip daddr 10.0.0.0/8 counter jump istio-redirect', 'ip6 daddr fd00::/8 counter jump istio-redirect']);
    expect(output.filter((rule) => rule === 'skuid 1337 counter return')).toHaveLength(1);
    expect(rules(['-i', 'fd00::/8'], V4, 'nat', 'istio-output').some((rule) => rule.includes('ip6'))).toBe(false);
  });

  it('puts what is inserted in front of what was added', () => {
    expect(rules(['-c', 'eth9', '-k', 'vm0', '-i', '*'], V4, 'nat', 'prerouting')).toEqual(['iifname vm0 counter jump istio-redirect', 'iifname vm0 counter return', 'iifname eth9 counter return']);
  });

  it('separates DNS by zones and jumps to it once', () => {
    expect(rules(['--redirect-dns'], DUAL, 'nat', 'istio-output').filter((rule) => rule.includes('istio-output-dns'))).toEqual(['counter jump istio-output-dns']);
    expect(rules(['--redirect-dns'], DUAL, 'nat', 'istio-output')).toContain('oifname lo ip daddr != 127.0.0.1/32 tcp dport != { 53, 15008 } skuid 1337 counter jump istio-in-redirect');
    expect(rules(['--redirect-dns'], DUAL, 'raw', 'istio-inbound')).toEqual(['ip saddr 10.0.0.10/32 udp sport 53 counter ct zone set 1', 'ip6 saddr fd00::a/128 udp sport 53 counter ct zone set 1']);
  });

  it('removes all three tables', () => {
    expect(nftCleanupText().split('\n').filter((line) => line.startsWith('delete'))).toEqual(['delete table inet istio-proxy-nat', 'delete table inet istio-proxy-mangle', 'delete table inet istio-proxy-raw']);
  });
});
