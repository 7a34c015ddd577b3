import { describe, expect, test } from 'vitest';
import { parseIptablesCommand, validateIptablesConfig } from './config.ts';
import { buildRules, restoreText } from './rules.ts';

const machine = { ipv6: false, dnsServersV4: ['10.96.0.10'], dnsServersV6: [] };
const rulesOf = (args: readonly string[], env: Record<string, string> = {}) => restoreText(buildRules(parseIptablesCommand(args, env, machine).command.config).ipv4);
const injected = ['-p', '15001', '-z', '15006', '-u', '1337', '-m', 'REDIRECT', '-i', '*', '-x', '', '-b', '*', '-d', '15090,15021,15020', '--log_output_level=default:info'];

describe('parseIptablesCommand', () => {
  test('the arguments the injector writes are all known', () => expect(parseIptablesCommand(injected, {}, machine).unknown).toEqual([]));
  test.each([
    [['--nonsense'], ['--nonsense']],
    [['-Z', '1'], ['-Z', '1']],
  ])('%j is refused by name', (args, unknown) => expect(parseIptablesCommand(args, {}, machine).unknown).toEqual(unknown));
  test('environment fills what flags leave open', () =>
    expect(parseIptablesCommand([], { ENVOY_PORT: '1', PROXY_UID: '7' }, machine).command.config).toMatchObject({ proxyPort: '1', proxyUid: '7', proxyGid: '7' }));
  test('a flag wins over the environment', () => expect(parseIptablesCommand(['-p', '2'], { ENVOY_PORT: '1' }, machine).command.config.proxyPort).toBe('2'));
});

describe('validateIptablesConfig', () => {
  test.each([
    [['-p', '15001; reboot'], /envoy-port/],
    [['-i', '10.0.0.0'], /not a CIDR/],
    [['-x', '*'], /would exclude everything/],
    [['-c', 'eth0 -j ACCEPT'], /interface/],
    [['-u', '1337 -j ACCEPT'], /user or group/],
    [['-m', 'NAT'], /REDIRECT nor TPROXY/],
  ])('%j is refused', (args, message) => expect(validateIptablesConfig(parseIptablesCommand(args, {}, machine).command.config).join('\n')).toMatch(message));
  test('the injected arguments are fine', () => expect(validateIptablesConfig(parseIptablesCommand(injected, {}, machine).command.config)).toEqual([]));
});

describe('buildRules', () => {
  test('excluded inbound ports come before the capture of all', () => {
    const lines = rulesOf(injected).split('\n').filter((line) => line.startsWith('-A ISTIO_INBOUND'));
    expect(lines.map((line) => /--dport (\d+)/.exec(line)?.[1] ?? 'all')).toEqual(['15008', '15090', '15021', '15020', 'all']);
  });
  test('a packet mark replaces owners, and the control plane stays reachable', () => {
    const text = rulesOf(injected, { MELTEMI_SO_MARK: '1337' });
    expect(text).not.toContain('owner');
    expect(text).toContain('-A ISTIO_OUTPUT -m mark --mark 1337 -j RETURN');
    expect(text).toContain('-A ISTIO_OUTPUT -p tcp -m multiport --dports 15010,15012 -j RETURN');
  });
  test('with a mark, DNS is left alone: the agent could not be told from the application', () =>
    expect(rulesOf([...injected, '--redirect-dns'], { MELTEMI_SO_MARK: '1337' })).not.toContain('15053'));
  test('chains are declared once, so that a second run replaces the first', () => {
    const declared = rulesOf(injected).split('\n').filter((line) => line.startsWith(':'));
    expect(new Set(declared).size).toBe(declared.length);
    expect(declared).toContain(':ISTIO_OUTPUT - [0:0]');
  });
});
