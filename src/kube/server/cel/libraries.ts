/** Functions that Kubernetes adds to CEL beyond the standard ones. @see https://kubernetes.io/docs/reference/using-api/cel/#cel-options-language-features-and-libraries */
import { BlockList, isIP } from 'node:net';
import type { Environment } from '@marcbachmann/cel-js';
import { compareQuantities, isQuantity, Quantity } from './quantity.ts';

type Comparable = bigint | number | string;
const best = (list: readonly Comparable[], better: (a: Comparable, b: Comparable) => boolean): Comparable => {
  if (list.length === 0) throw new Error('min or max called on empty list');
  return list.reduce((found, one) => (better(one, found) ? one : found));
};
const equalScalars = (a: unknown, b: unknown): boolean => a === b || (typeof a !== typeof b && (typeof a === 'bigint' || typeof b === 'bigint') && Number(a) === Number(b));

export function registerLists(env: Environment): void {
  env.registerFunction('list.sum(): dyn', (list: readonly (bigint | number)[]) => list.reduce((sum: bigint | number, one) => (typeof sum === 'bigint' && typeof one === 'bigint' ? sum + one : Number(sum) + Number(one)), 0n));
  env.registerFunction('list.min(): dyn', (list: readonly Comparable[]) => best(list, (a, b) => a < b));
  env.registerFunction('list.max(): dyn', (list: readonly Comparable[]) => best(list, (a, b) => a > b));
  env.registerFunction('list.isSorted(): bool', (list: readonly Comparable[]) => list.every((one, index) => index === 0 || list[index - 1]! <= one));
  env.registerFunction('list.indexOf(dyn): int', (list: readonly unknown[], wanted: unknown) => BigInt(list.findIndex((one) => equalScalars(one, wanted))));
  env.registerFunction('list.lastIndexOf(dyn): int', (list: readonly unknown[], wanted: unknown) => BigInt(list.findLastIndex((one) => equalScalars(one, wanted))));
  // `sets.contains(a, b)` reads as a call of a function with a dotted name; here it is a method of a constant.
  env.registerType('Sets', Sets);
  env.registerConstant('sets', 'dyn', new Sets());
  const contains = (all: readonly unknown[], some: readonly unknown[]): boolean => some.every((one) => all.some((other) => equalScalars(one, other)));
  env.registerFunction('Sets.contains(list, list): bool', (_sets: Sets, all: readonly unknown[], some: readonly unknown[]) => contains(all, some));
  env.registerFunction('Sets.equivalent(list, list): bool', (_sets: Sets, a: readonly unknown[], b: readonly unknown[]) => contains(a, b) && contains(b, a));
  env.registerFunction('Sets.intersects(list, list): bool', (_sets: Sets, a: readonly unknown[], b: readonly unknown[]) => a.some((one) => b.some((other) => equalScalars(one, other))));
}

class Sets {}

export function registerTexts(env: Environment): void {
  env.registerFunction('string.replace(string, string): string', (text: string, from: string, to: string) => text.replaceAll(from, () => to));
  env.registerFunction('string.replace(string, string, int): string', (text: string, from: string, to: string, count: bigint) => {
    let left = Number(count);
    return left < 0 ? text.replaceAll(from, () => to) : text.replaceAll(from, (found) => (left-- > 0 ? to : found));
  });
  env.registerFunction('string.format(list): string', format);
}

/** `%s`, `%d`, `%f`, `%x`, `%%` as far as rules use them in messages. */
function format(text: string, values: readonly unknown[]): string {
  let next = 0;
  return text.replaceAll(/%(?:\.(\d{1,2}))?([sdfxXbo%])/g, (_all, digits: string | undefined, verb: string) => {
    if (verb === '%') return '%';
    if (next >= values.length) throw new Error(`index ${next} out of range`);
    const value = values[next++];
    if (verb === 'f') return Number(value).toFixed(digits === undefined ? 6 : Number(digits));
    const radix = { x: 16, X: 16, b: 2, o: 8 }[verb];
    if (radix !== undefined) return BigInt(String(value)).toString(radix);
    return value instanceof Date ? value.toISOString() : String(value);
  });
}

export function registerQuantities(env: Environment): void {
  env.registerType('Quantity', Quantity);
  env.registerFunction('quantity(string): Quantity', (text: string) => new Quantity(text));
  env.registerFunction('isQuantity(string): bool', (text: string) => isQuantity(text));
  env.registerFunction('Quantity.isGreaterThan(Quantity): bool', (a: Quantity, b: Quantity) => compareQuantities(a, b) > 0);
  env.registerFunction('Quantity.isLessThan(Quantity): bool', (a: Quantity, b: Quantity) => compareQuantities(a, b) < 0);
  env.registerFunction('Quantity.compareTo(Quantity): int', (a: Quantity, b: Quantity) => BigInt(compareQuantities(a, b)));
  env.registerFunction('Quantity.sign(): int', (a: Quantity) => BigInt(compareQuantities(a, new Quantity('0'))));
}

class Address {
  readonly family: 4 | 6;

  constructor(readonly text: string) {
    const family = isIP(text);
    if ((family !== 4 && family !== 6) || text.includes('%')) throw new Error(`IP Address ${JSON.stringify(text)} parse error during conversion from string`);
    this.family = family;
  }
}

class Network {
  readonly address: Address;
  readonly length: number;
  private readonly members = new BlockList();

  constructor(text: string) {
    const [address = '', length = ''] = text.split('/');
    this.address = new Address(address);
    this.length = Number(length);
    if (!/^\d{1,3}$/.test(length) || this.length > (this.address.family === 4 ? 32 : 128)) throw new Error(`network address parse error during conversion from string: invalid CIDR address: ${text}`);
    this.members.addSubnet(address, this.length, this.address.family === 4 ? 'ipv4' : 'ipv6');
  }

  has({ text, family }: Address): boolean {
    return this.members.check(text, family === 4 ? 'ipv4' : 'ipv6');
  }
}

const parses = (make: () => unknown): boolean => {
  try {
    make();
    return true;
  } catch {
    return false;
  }
};

export function registerAddresses(env: Environment): void {
  env.registerType('IP', Address);
  env.registerType('CIDR', Network);
  env.registerFunction('isIP(string): bool', (text: string) => parses(() => new Address(text)));
  env.registerFunction('isCIDR(string): bool', (text: string) => parses(() => new Network(text)));
  env.registerFunction('ip(string): IP', (text: string) => new Address(text));
  env.registerFunction('cidr(string): CIDR', (text: string) => new Network(text));
  env.registerFunction('IP.family(): int', ({ family }: Address) => BigInt(family));
  env.registerFunction('IP.isLoopback(): bool', ({ text, family }: Address) => (family === 4 ? text.startsWith('127.') : text === '::1'));
  env.registerFunction('IP.isUnspecified(): bool', ({ text }: Address) => text === '0.0.0.0' || text === '::');
  env.registerFunction('CIDR.containsIP(string): bool', (network: Network, text: string) => network.has(new Address(text)));
  env.registerFunction('CIDR.containsIP(IP): bool', (network: Network, address: Address) => network.has(address));
  env.registerFunction('CIDR.prefixLength(): int', ({ length }: Network) => BigInt(length));
  env.registerFunction('CIDR.ip(): IP', ({ address }: Network) => address);
}
