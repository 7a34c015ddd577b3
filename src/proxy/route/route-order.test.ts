import fc from 'fast-check';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { RouteConfigurationSchema } from '../../xds/gen/envoy/config/route/v3/route_pb.ts';
import type { RouteMatchSchema } from '../../xds/gen/envoy/config/route/v3/route_components_pb.ts';
import { head } from '../testing/head.ts';
import { compileRouteConfiguration } from './compile.ts';

type MatchInit = MessageInitShape<typeof RouteMatchSchema>;

interface Rule {
  readonly kind: 'path' | 'prefix' | 'safeRegex';
  readonly text: string;
  readonly fold: boolean;
  /** Header `x` must have this value; '' = must be there. */
  readonly header: string | undefined;
  readonly query: string | undefined;
}

const path = fc.array(fc.constantFrom('/a', '/b', '/B', '/ab'), { minLength: 1, maxLength: 3 }).map((parts) => parts.join(''));
const value = fc.constantFrom('1', '2', 'a');
const rule: fc.Arbitrary<Rule> = fc.record({ kind: fc.constantFrom('path' as const, 'prefix' as const, 'safeRegex' as const), text: path, fold: fc.boolean(), header: fc.option(fc.oneof(value, fc.constant('')), { nil: undefined }), query: fc.option(value, { nil: undefined }) });
const request = fc.record({ path, header: fc.option(value, { nil: undefined }), query: fc.option(value, { nil: undefined }) });

const exactly = (text: string) => ({ matchPattern: { case: 'exact' as const, value: text } });

function matchOf(each: Rule): MatchInit {
  const specifier: NonNullable<MatchInit['pathSpecifier']> = each.kind === 'safeRegex' ? { case: 'safeRegex', value: { regex: `${each.text}(/.*)?` } } : { case: each.kind, value: each.text };
  return {
    pathSpecifier: specifier, caseSensitive: !each.fold,
    headers: each.header === undefined ? [] : [{ name: 'x', headerMatchSpecifier: each.header === '' ? { case: 'presentMatch', value: true } : { case: 'stringMatch', value: exactly(each.header) } }],
    queryParameters: each.query === undefined ? [] : [{ name: 'q', queryParameterMatchSpecifier: { case: 'stringMatch', value: exactly(each.query) } }],
  };
}

/** The same question asked as simply as possible. */
function applies(each: Rule, asked: { readonly path: string; readonly header: string | undefined; readonly query: string | undefined }): boolean {
  const fold = (text: string): string => (each.fold && each.kind !== 'safeRegex' ? text.toLowerCase() : text);
  const [have, want] = [fold(asked.path), fold(each.text)];
  const byPath = each.kind === 'path' ? have === want : each.kind === 'prefix' ? have.startsWith(want) : have === want || have.startsWith(`${want}/`);
  return byPath && (each.header === undefined || (each.header === '' ? asked.header !== undefined : asked.header === each.header)) && (each.query === undefined || asked.query === each.query);
}

describe('the order of routes', () => {
  it('is theirs in the table: the first that applies wins, for any rules and requests', () => {
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 8 }), fc.array(request, { minLength: 1, maxLength: 6 }), (rules, requests) => {
        const routes = rules.map((each, index) => ({ name: `r${index}`, match: matchOf(each), action: { case: 'directResponse' as const, value: { status: 200 } } }));
        const table = compileRouteConfiguration(create(RouteConfigurationSchema, { name: 't', virtualHosts: [{ name: 'all', domains: ['*'], routes }] }), { parseFilterConfig: () => undefined });
        for (const asked of requests) {
          const found = table.lookup(head({ path: asked.query === undefined ? asked.path : `${asked.path}?p=0&q=${asked.query}`, headers: asked.header === undefined ? {} : { x: asked.header } }), { secure: false, random: 0 });
          const wanted = rules.findIndex((each) => applies(each, asked));
          expect(found.kind === 'found' ? found.route.name : 'none').toBe(wanted < 0 ? 'none' : `r${wanted}`);
        }
      }),
      { numRuns: 300 },
    );
  });
});
