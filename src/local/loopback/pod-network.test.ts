import { describe, expect, it } from 'vitest';
import { addressPlan, isClusterAddress, localAddressOf, logicalPort, LOOPBACK_BASES, realPort } from './address-plan.ts';
import { capturesInbound, capturesOutbound, planBind, planConnect, proxyHeader, type PodNetwork, type Redirect } from './pod-network.ts';

const pod = (change: Partial<PodNetwork> = {}): PodNetwork => ({
  role: 'app', podIP: '127.64.0.5', localIP: '127.65.0.5', base: 64, firstPort: 1024, hostname: 'a', folder: '/f', dns: { server: '127.66.0.10', searches: [], ndots: 5 }, hosts: [], mounts: [], ...change,
});
const redirect = (change: Partial<Redirect> = {}): Redirect => ({
  proxyPort: '15001', inboundCapturePort: '15006', inboundPortsInclude: '*', inboundPortsExclude: '15090,15021,15020', outboundPortsInclude: '', outboundPortsExclude: '', outboundIpRangesInclude: '*', outboundIpRangesExclude: '', redirectDns: false, ...change,
});

describe('address plan', () => {
  it('gives every base ranges that no other base uses', () => {
    const ranges = LOOPBACK_BASES.flatMap((base) => [addressPlan(String(base)).podCidr, `127.${base + 1}.0.0/16`, addressPlan(String(base)).serviceCidr]);
    expect(new Set(ranges).size).toBe(ranges.length);
  });
  it('refuses a base that is none', () => expect(() => addressPlan('65')).toThrow('LOOPBACK_BASE=65'));
  it('tells the cluster from the rest of 127.0.0.0/8', () => {
    for (const address of ['127.64.0.1', '127.65.1.2', '127.66.0.10']) expect(isClusterAddress(address, 64)).toBe(true);
    for (const address of ['127.0.0.1', '127.67.0.1', '10.64.0.1', '128.64.0.1', '::1']) expect(isClusterAddress(address, 64)).toBe(false);
  });
  it('has a localhost for every pod', () => expect(localAddressOf('127.64.3.9')).toBe('127.65.3.9'));
  it.each([[80, 1024, 61_080], [1023, 1024, 62_023], [1024, 1024, 1024], [80, 0, 80], [80, 80, 80], [0, 1024, 0], [9080, 1024, 9080]])('opens %i as it may from %i on: %i', (port, first, real) => {
    expect(realPort(port, first)).toBe(real);
    expect(logicalPort(real, first)).toBe(port);
  });
  it('leaves ports alone that only look shifted', () => expect([logicalPort(61_000, 1024), logicalPort(62_100, 1024), logicalPort(61_080, 0)]).toEqual([61_000, 62_100, 61_080]));
});

describe('capture rules', () => {
  it.each<[string, Partial<Redirect>, number, boolean]>([
    ['all', {}, 9080, true], ['an excluded port', {}, 15021, false], ['none', { inboundPortsInclude: '' }, 9080, false],
    ['a list', { inboundPortsInclude: '80, 9080' }, 9080, true], ['not in the list', { inboundPortsInclude: '80' }, 9080, false], ['excludes only count for all', { inboundPortsInclude: '15021' }, 15021, true],
  ])('inbound: %s', (_, change, port, expected) => expect(capturesInbound(redirect(change), port)).toBe(expected));
  it.each<[string, Partial<Redirect>, string, number, boolean]>([
    ['all', {}, '127.66.0.9', 9080, true], ['the world', {}, '93.184.216.34', 443, true], ['an excluded port', { outboundPortsExclude: '443,27017' }, '1.2.3.4', 27017, false],
    ['an excluded range', { outboundIpRangesExclude: '127.66.0.0/24' }, '127.66.0.9', 80, false], ['beside the excluded range', { outboundIpRangesExclude: '127.66.0.0/24' }, '127.66.1.9', 80, true],
    ['only these ranges', { outboundIpRangesInclude: '127.66.0.0/16,10.0.0.0/8' }, '10.9.8.7', 80, true], ['outside these ranges', { outboundIpRangesInclude: '127.66.0.0/16' }, '10.9.8.7', 80, false],
    ['a port beside the ranges', { outboundIpRangesInclude: '', outboundPortsInclude: '8080' }, '10.9.8.7', 8080, true], ['exclusion beats the included port', { outboundPortsInclude: '8080', outboundIpRangesExclude: '10.0.0.0/8' }, '10.9.8.7', 8080, false],
    ['IPv6 with all', {}, '2001:db8::1', 80, true], ['IPv6 with ranges', { outboundIpRangesInclude: '10.0.0.0/8' }, '2001:db8::1', 80, false], ['/0', { outboundIpRangesInclude: '0.0.0.0/0' }, '1.2.3.4', 80, true],
  ])('outbound: %s', (_, change, address, port, expected) => expect(capturesOutbound(redirect(change), address, port)).toBe(expected));
  it('nothing is captured without rules', () => expect([capturesInbound(undefined, 1), capturesOutbound(undefined, '1.2.3.4', 1)]).toEqual([false, false]));
});

describe('planConnect', () => {
  const app = pod();
  const proxy = pod({ role: 'proxy' });
  it('sends a captured connection of the application to its proxy', () => expect(planConnect(app, redirect(), '127.66.4.4', 80)).toEqual({ address: '127.65.0.5', port: 15001, captured: true, source: '127.64.0.5' }));
  it('knows IPv4 in IPv6 clothes', () => expect(planConnect(app, redirect(), '::ffff:127.66.4.4', 80).captured).toBe(true));
  it('keeps localhost in the pod', () => {
    for (const address of ['127.0.0.1', '::1', '0.0.0.0']) expect(planConnect(app, redirect(), address, 80)).toEqual({ address: '127.65.0.5', port: 61_080, captured: false });
  });
  it('lets a pod call its own address past the proxy', () => expect(planConnect(app, redirect(), '127.64.0.5', 9080)).toMatchObject({ address: '127.65.0.5', captured: false }));
  it('is never captured twice', () => expect(planConnect(proxy, redirect(), '127.64.0.9', 9080)).toEqual({ address: '127.64.0.9', port: 9080, captured: false, source: '127.64.0.5' }));
  it('delivers what the proxy sends from 127.0.0.6 to the application', () => expect(planConnect(proxy, redirect(), '127.64.0.5', 9080, '127.0.0.6')).toEqual({ address: '127.65.0.5', port: 9080, captured: false }));
  it('brings a proxy that balances to its own pod in at the front door', () => expect(planConnect(proxy, redirect(), '127.64.0.5', 9080)).toMatchObject({ address: '127.64.0.5', port: 9080 }));
  it('captures what the proxy does for the application', () => expect(planConnect(proxy, redirect(), '127.66.4.4', 80, undefined, true).captured).toBe(true));
  it('keeps the source that the program chose', () => expect(planConnect(app, undefined, '127.64.0.9', 80, '127.64.0.77')).not.toHaveProperty('source'));
  it('leaves the world alone without rules', () => expect(planConnect(app, undefined, '93.184.216.34', 80)).toEqual({ address: '93.184.216.34', port: 80, captured: false }));
  it('of the node only shifts ports inside the cluster', () => {
    const node = pod({ role: 'node', podIP: '127.64.0.1' });
    expect(planConnect(node, undefined, '127.66.0.1', 443)).toEqual({ address: '127.66.0.1', port: 61_443, captured: false, source: '127.64.0.1' });
    expect(planConnect(node, undefined, '127.0.0.1', 443)).toEqual({ address: '127.0.0.1', port: 443, captured: false });
  });
});

describe('planBind', () => {
  it('puts a captured listener on the pod\'s own localhost and announces it', () => {
    for (const address of ['0.0.0.0', '::', '127.64.0.5']) expect(planBind(pod(), redirect(), address, 9080)).toEqual({ address: '127.65.0.5', port: 9080, announced: true });
  });
  it('answers on both addresses where nothing is captured', () => expect(planBind(pod(), undefined, '::', 80)).toEqual({ address: '127.64.0.5', port: 61_080, announced: false, also: '127.65.0.5' }));
  it('shows a localhost listener to nobody else', () => expect(planBind(pod(), redirect(), '127.0.0.1', 5000)).toEqual({ address: '127.65.0.5', port: 5000, announced: false }));
  it('lets the proxy listen where others reach it', () => expect(planBind(pod({ role: 'proxy' }), redirect(), '0.0.0.0', 15006)).toMatchObject({ address: '127.64.0.5', also: '127.65.0.5', announced: false }));
  it('leaves foreign addresses alone', () => expect(planBind(pod(), redirect(), '192.0.2.1', 80)).toEqual({ address: '192.0.2.1', port: 80, announced: false }));
});

describe('proxyHeader', () => {
  // Bytes written down from the specification, §2.2.
  it('names an IPv4 destination', () => {
    expect(Buffer.from(proxyHeader('127.64.0.5', 0x9c40, '93.184.216.34', 443)).toString('hex')).toBe('0d0a0d0a000d0a515549540a2111000c' + '7f400005' + '5db8d822' + '9c40' + '01bb');
  });
  it('names an IPv6 destination', () => {
    expect(Buffer.from(proxyHeader('127.64.0.5', 1, '2001:db8::7', 8080)).toString('hex')).toBe('0d0a0d0a000d0a515549540a21210024' + '00000000000000000000ffff7f400005' + '20010db8000000000000000000000007' + '0001' + '1f90');
  });
});
