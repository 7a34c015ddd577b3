import { expect, test } from 'vitest';
import { KINDS } from '../../../objects/registry.ts';
import type { Schema } from '../../../objects/schema/schema.ts';
import { Compiler } from './environment.ts';
import { conditionsHold } from './match-conditions.ts';
import { checkRules, checkRuleTexts } from './validation-rules.ts';

const rule = (text: string, more: object = {}) => [{ rule: text, ...more }];
const object = (properties: Record<string, Schema>, rules: readonly { readonly rule: string }[] = []): Schema => ({ type: 'object', properties, 'x-kubernetes-validations': rules });
const integer: Schema = { type: 'integer' };
const text: Schema = { type: 'string' };
const texts = (schema: Schema, value: unknown, before?: unknown): string[] => checkRules(schema, value, before).map((cause) => `${cause.field}: ${cause.message}`);

test.each<[string, Schema, unknown, string[]]>([
  ['holds', object({ min: integer, max: integer }, rule('self.min <= self.max')), { min: 1, max: 2 }, []],
  ['fails with the rule', object({ min: integer, max: integer }, rule('self.min <= self.max')), { min: 3, max: 2 }, ['<nil>: Invalid value: "object": failed rule: self.min <= self.max']],
  ['fails with the message', object({ a: { ...integer, 'x-kubernetes-validations': rule('self > 1', { message: 'too small' }) } }), { a: 1 }, ['a: Invalid value: "integer": too small']],
  ['message expressions', object({ a: integer }, rule('self.a > 1', { messageExpression: "'a is ' + string(self.a)" })), { a: 1 }, ['<nil>: Invalid value: "object": a is 1']],
  ['reason and path', object({ a: integer }, rule('self.a > 1', { message: 'no', reason: 'FieldValueForbidden', fieldPath: '.a' })), { a: 1 }, ['a: Forbidden: no']],
  ['integers divide', object({ a: integer }, rule('self.a % 2 == 1 && self.a / 2 == 1')), { a: 3 }, []],
  ['absent values have no rules', object({ a: { ...integer, 'x-kubernetes-validations': rule('self > 1') } }), {}, []],
  ['a missing key says so', object({ a: integer }, rule('self.a > 1')), {}, ['<nil>: Invalid value: "object": no such key: a evaluating rule: self.a > 1']],
  ['lists and maps', object({ l: { type: 'array', items: object({ n: text }, rule("self.n != 'x'")) } }), { l: [{ n: 'a' }, { n: 'x' }] }, ['l[1]: Invalid value: "object": failed rule: self.n != \'x\'']],
  ['maps by key', { type: 'object', additionalProperties: { ...integer, 'x-kubernetes-validations': rule('self > 0') } }, { a: 1, b: 0 }, ['[b]: Invalid value: "integer": failed rule: self > 0']],
  ['names that are no identifiers', object({ namespace: text, 'a-b': text, 'c.d/e': text }, rule("self.__namespace__ == 'n' && self.a__dash__b == 'x' && self.c__dot__d__slash__e == 'y'")), { namespace: 'n', 'a-b': 'x', 'c.d/e': 'y' }, []],
  ['times and durations', object({ t: { ...text, format: 'date-time' }, d: text }, rule("self.t > timestamp('2020-01-01T00:00:00Z') && duration(self.d) < duration('1h')")), { t: '2024-01-01T00:00:00Z', d: '59m' }, []],
  ['optional fields', object({ a: integer }, rule('self.?a.orValue(5) == 5')), {}, []],
  ['optional fields fail too', object({ a: integer }, rule('self.?a.orValue(5) == 6')), {}, ['<nil>: Invalid value: "object": failed rule: self.?a.orValue(5) == 6']],
  ['addresses', object({ a: text, n: text }, rule("isIP(self.a) && ip(self.a).family() == 4 && cidr(self.n).containsIP(self.a) && !isCIDR(self.a) && !isIP('1.2.3')")), { a: '10.1.2.3', n: '10.0.0.0/8' }, []],
  ['texts and sets', object({ s: text, l: { type: 'array', items: text } }, rule("self.s.replace('a', 'b') == 'b.b' && '%s-%d'.format([self.s, 5]) == 'a.a-5' && sets.contains(self.l, ['x']) && !sets.intersects(self.l, ['z'])")), { s: 'a.a', l: ['x', 'y'] }, []],
  ['raw patterns', object({ s: text }, rule(String.raw`self.s.matches(r"""^(?i)[a-z]+\.[a-z]+$""")`)), { s: 'A.b' }, []],
  ['Kubernetes functions', object({ l: { type: 'array', items: integer }, q: text, u: text }, rule("self.l.sum() == 6 && self.l.isSorted() && self.l.max() == 3 && self.l.indexOf(2) == 1 && quantity(self.q).isGreaterThan(quantity('512Mi')) && url(self.u).getHost() == 'h:80' && isURL(self.u)")), { l: [1, 2, 3], q: '1Gi', u: 'http://h:80/p' }, []],
  ['patterns are RE2 and linear', object({ s: text }, rule("self.s.matches('^(a+)+$')")), { s: `${'a'.repeat(5000)}b` }, ['<nil>: Invalid value: "object": failed rule: self.s.matches(\'^(a+)+$\')']],
  ['text in a rule is not renamed', object({ s: text }, rule("self.s == 'x.matches(y)'")), { s: 'x.matches(y)' }, []],
  ['names of the prototype are no fields', object({ a: integer }, rule('!has(self.constructor)')), { a: 1 }, []],
])('%s', (_name, schema, value, expected) => expect(texts(schema, value)).toEqual(expected));

test('transition rules compare with what was, where that is known', () => {
  const fixed = object({ a: { ...text, 'x-kubernetes-validations': rule('self == oldSelf', { message: 'is immutable' }) } });
  expect(texts(fixed, { a: '1' })).toEqual([]);
  expect(texts(fixed, { a: '2' }, { a: '1' })).toEqual(['a: Invalid value: "string": is immutable']);
  const items: Schema = object({ n: text, v: integer }, rule('self.v >= oldSelf.v'));
  const keyed: Schema = { type: 'array', items, 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['n'] };
  expect(texts(keyed, [{ n: 'b', v: 1 }, { n: 'a', v: 1 }], [{ n: 'a', v: 2 }])).toEqual(['[1]: Invalid value: "object": failed rule: self.v >= oldSelf.v']);
  expect(texts({ type: 'array', items }, [{ n: 'a', v: 1 }], [{ n: 'a', v: 2 }])).toEqual([]);
  const first = object({ a: integer }, rule('oldSelf.hasValue() || self.a == 0', { optionalOldSelf: true }));
  expect(texts(first, { a: 1 })).toHaveLength(1);
  expect(texts(first, { a: 1 }, { a: 0 })).toEqual([]);
});

test('cost is bounded by the form of the rule and the size of the value', () => {
  const cubic = object({ l: { type: 'array', items: integer } }, rule('self.l.all(a, self.l.all(b, self.l.all(c, a + b + c > 0)))'));
  expect(texts(cubic, { l: [1, 2, 3] })).toEqual([]);
  const started = performance.now();
  expect(texts(cubic, { l: Array.from({ length: 2000 }, () => 1) })[0]).toContain('running out of cost budget');
  const doubling = Array.from({ length: 30 }, (_, index) => `cel.bind(x${index + 1}, x${index} + x${index}, `).join('');
  expect(texts(object({ s: text }, rule(`cel.bind(x0, self.s, ${doubling}x30 == ''${')'.repeat(31)}`)), { s: 'a' })[0]).toContain('cost budget');
  expect(performance.now() - started).toBeLessThan(2000);
});

test('rules that do not compile are named with their place', () => {
  const schema = { type: 'object', properties: { spec: { type: 'object', 'x-kubernetes-validations': [{ rule: 'self.a >' }, { rule: 'nope(self)' }, { rule: '' }, { rule: 'other == 1' }] }, l: { type: 'array', items: { 'x-kubernetes-validations': [{ rule: 'true', messageExpression: 'self.' }] } } } };
  expect(checkRuleTexts(schema, 's').map(({ field, why }) => `${field} ${why}`)).toEqual([
    's.properties[spec].x-kubernetes-validations[0].rule compilation failed: Unexpected token: EOF',
    expect.stringContaining("s.properties[spec].x-kubernetes-validations[1].rule compilation failed: found no matching overload for 'nope(dyn)'"),
    's.properties[spec].x-kubernetes-validations[2].rule rule is not specified',
    's.properties[spec].x-kubernetes-validations[3].rule compilation failed: Unknown variable: other',
    expect.stringContaining('s.properties[l].items.x-kubernetes-validations[0].messageExpression'),
  ]);
});

test('match conditions: false wins over errors, errors over true', () => {
  const webhook = (...expressions: string[]) => ({ matchConditions: expressions.map((expression, index) => ({ name: `c${index}`, expression })) });
  const request = { operation: 'CREATE', object: { metadata: { labels: { a: 'b' } }, spec: { replicas: 3 } }, oldObject: null, userInfo: { username: 'jane', groups: ['g'] } };
  const hold = (...expressions: string[]) => conditionsHold(webhook(...expressions), request);
  expect(hold()).toBe(true);
  expect(hold("request.userInfo.username == 'jane' && 'g' in request.userInfo.groups", 'object.spec.replicas > 2', 'oldObject == null')).toBe(true);
  expect(hold("object.metadata.labels['a'] == 'c'")).toBe(false);
  expect(hold('object.spec.nope > 1', 'false')).toBe(false);
  expect(hold('object.spec.nope > 1', 'true')).toContain("match condition 'c0': No such key: nope");
  expect(hold('1 + 1')).toContain('must evaluate to bool');
});

test('expressions are compiled once', () => {
  const compiler = new Compiler(['self']);
  expect(compiler.compile('self > 1')).toBe(compiler.compile('self > 1'));
});

test('the rules of every kind we define compile', () => {
  for (const info of KINDS.filter((one) => one.custom)) expect(checkRuleTexts(info.schema, info.kind), info.kind).toEqual([]);
});
